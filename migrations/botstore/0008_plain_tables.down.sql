-- The tables and the trigger as steps 4, 6 and 7 made them, for the program that knows no later step. It brings
-- an SQLite of its own that reads STRICT.

DROP TRIGGER botstore_session_added;
DROP TRIGGER botstore_session_removed;
DROP TRIGGER botstore_session_moved;
CREATE TRIGGER botstore_session_moved AFTER UPDATE OF user_id ON sessions
WHEN old.user_id <> new.user_id BEGIN
    UPDATE botstore_user_tool SET uses = uses - (
        SELECT count(*) FROM tool_usage t
        WHERE t.session_id = new.session_id AND t.tool_name = botstore_user_tool.tool_name)
    WHERE user_id = old.user_id;
    DELETE FROM botstore_user_tool WHERE user_id = old.user_id AND uses = 0;
    INSERT INTO botstore_user_tool (user_id, tool_name, uses)
    SELECT new.user_id, tool_name, count(*) FROM tool_usage
    WHERE session_id = new.session_id GROUP BY tool_name
    ON CONFLICT (user_id, tool_name) DO UPDATE SET uses = uses + excluded.uses;
END;

CREATE TABLE botstore_idempotency_copy (
    user_id         INTEGER NOT NULL,
    idempotency_key TEXT    NOT NULL,
    message_id      INTEGER NOT NULL,
    recorded_at     TEXT    NOT NULL,
    PRIMARY KEY (user_id, idempotency_key)
) WITHOUT ROWID;
INSERT INTO botstore_idempotency_copy
    SELECT user_id, idempotency_key, message_id, recorded_at FROM botstore_idempotency;
DROP TABLE botstore_idempotency;
CREATE TABLE botstore_idempotency (
    user_id         INTEGER NOT NULL,
    idempotency_key TEXT    NOT NULL,
    message_id      INTEGER NOT NULL,
    recorded_at     TEXT    NOT NULL,
    PRIMARY KEY (user_id, idempotency_key)
) STRICT, WITHOUT ROWID;
INSERT INTO botstore_idempotency
    SELECT user_id, idempotency_key, message_id, recorded_at FROM botstore_idempotency_copy;
DROP TABLE botstore_idempotency_copy;
CREATE INDEX botstore_idempotency_age ON botstore_idempotency(recorded_at);

CREATE TABLE botstore_schedules_copy (
    name        TEXT NOT NULL PRIMARY KEY,
    last_run_at TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO botstore_schedules_copy SELECT name, last_run_at FROM botstore_schedules;
DROP TABLE botstore_schedules;
CREATE TABLE botstore_schedules (
    name        TEXT NOT NULL PRIMARY KEY,
    last_run_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO botstore_schedules SELECT name, last_run_at FROM botstore_schedules_copy;
DROP TABLE botstore_schedules_copy;

CREATE TABLE botstore_store_copy (
    id       INTEGER PRIMARY KEY,
    store_id TEXT    NOT NULL
);
INSERT INTO botstore_store_copy SELECT id, store_id FROM botstore_store;
DROP TABLE botstore_store;
CREATE TABLE botstore_store (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    store_id TEXT    NOT NULL
) STRICT;
INSERT INTO botstore_store SELECT id, store_id FROM botstore_store_copy;
DROP TABLE botstore_store_copy;
