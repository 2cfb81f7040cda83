CREATE VIEW IF NOT EXISTS daily_stats AS
    SELECT
        date(timestamp) AS date,
        COUNT(DISTINCT user_id) AS active_users,
        COUNT(*) AS total_messages,
        SUM(cost) AS total_cost,
        AVG(duration_ms) AS avg_duration
    FROM messages
    GROUP BY date(timestamp);

INSERT OR IGNORE INTO schema_version (version) VALUES (2);
