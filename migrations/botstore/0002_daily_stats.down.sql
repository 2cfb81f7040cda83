DROP VIEW daily_stats;
DELETE FROM schema_version WHERE version = 2;
