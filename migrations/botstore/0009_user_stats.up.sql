-- The other view of the Python bot's schema 2. Step 2 says in schema_version that the file has that schema,
-- so a bot that opens it does not make the view itself.
--
-- The bot's own counts each message once for each session of its user. This one has the same columns and
-- the right numbers; where the file has the bot's own, it stays as the bot made it. Nothing here reads it.
CREATE VIEW IF NOT EXISTS user_stats AS
    SELECT
        u.user_id,
        u.telegram_username,
        (SELECT COUNT(*) FROM sessions s WHERE s.user_id = u.user_id) AS total_sessions,
        (SELECT COUNT(*) FROM messages m WHERE m.user_id = u.user_id) AS total_messages,
        (SELECT SUM(m.cost) FROM messages m WHERE m.user_id = u.user_id) AS total_cost,
        (SELECT MAX(m.timestamp) FROM messages m WHERE m.user_id = u.user_id) AS last_activity
    FROM users u;
