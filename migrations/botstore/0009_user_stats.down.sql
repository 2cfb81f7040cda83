DROP VIEW IF EXISTS user_stats;
