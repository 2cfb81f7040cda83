-- Indexes that give a page of a list in its order (time, then id), so that no query scans or sorts
-- a table that grows with the bot's age. An index on a table keyed by rowid ends with the rowid, so
-- the id is in them already.

CREATE INDEX botstore_messages_session ON messages(session_id, timestamp);
CREATE INDEX botstore_messages_user ON messages(user_id, timestamp);
CREATE INDEX botstore_tool_usage_session ON tool_usage(session_id, timestamp);
CREATE INDEX botstore_audit_user ON audit_log(user_id, timestamp);
CREATE INDEX botstore_tokens_user ON user_tokens(user_id);
CREATE INDEX botstore_costs_date ON cost_tracking(date);
CREATE INDEX botstore_users_first_seen ON users(first_seen);
CREATE INDEX botstore_users_allowed ON users(first_seen) WHERE is_allowed = 1;

-- Without the time of last use, which every interaction changes: the live sessions are few enough
-- to sort.
CREATE INDEX botstore_sessions_active ON sessions(user_id) WHERE is_active = 1;

-- Nearly all events are interactions, and those are found by time. This holds the others, so that
-- a failed login of last year is found without reading a year of interactions.
CREATE INDEX botstore_audit_type ON audit_log(event_type, timestamp)
    WHERE event_type <> 'interaction';
