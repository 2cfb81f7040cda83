-- Children before parents.
DROP TABLE cost_tracking;
DROP TABLE user_tokens;
DROP TABLE audit_log;
DROP TABLE tool_usage;
DROP TABLE messages;
DROP TABLE sessions;
DROP TABLE users;
DELETE FROM schema_version WHERE version = 1;
