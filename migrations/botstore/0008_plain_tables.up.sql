-- No table here is STRICT any more: SQLite knows that word since 3.37, and an older one reads nothing of a
-- file that has it anywhere, the Python bot's own tables included. What STRICT said of types, CHECK says.
--
-- Each table is copied to one beside it and back. To copy once and rename was turned down: a RENAME reads
-- every view of the file, and fails at one of somebody else's that is broken.

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
    user_id         INTEGER NOT NULL CHECK (typeof(user_id) = 'integer'),
    idempotency_key TEXT    NOT NULL CHECK (typeof(idempotency_key) = 'text'),
    message_id      INTEGER NOT NULL CHECK (typeof(message_id) = 'integer'),
    recorded_at     TEXT    NOT NULL CHECK (typeof(recorded_at) = 'text'),
    PRIMARY KEY (user_id, idempotency_key)
) WITHOUT ROWID;
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
    name        TEXT NOT NULL PRIMARY KEY CHECK (typeof(name) = 'text'),
    last_run_at TEXT NOT NULL CHECK (typeof(last_run_at) = 'text')
) WITHOUT ROWID;
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
    store_id TEXT    NOT NULL CHECK (typeof(store_id) = 'text')
);
INSERT INTO botstore_store SELECT id, store_id FROM botstore_store_copy;
DROP TABLE botstore_store_copy;

-- A session that comes, goes, or gets another id or owner takes its tool uses along. It can do so without
-- them where foreign keys are off, as they are in other programs unless they say otherwise.
DROP TRIGGER IF EXISTS botstore_session_moved;
CREATE TRIGGER botstore_session_added AFTER INSERT ON sessions
WHEN EXISTS (SELECT 1 FROM tool_usage t WHERE t.session_id = new.session_id) BEGIN
    INSERT INTO botstore_user_tool (user_id, tool_name, uses)
    SELECT new.user_id, tool_name, count(*) FROM tool_usage
    WHERE session_id = new.session_id GROUP BY tool_name
    ON CONFLICT (user_id, tool_name) DO UPDATE SET uses = uses + excluded.uses;
END;
CREATE TRIGGER botstore_session_removed AFTER DELETE ON sessions
WHEN EXISTS (SELECT 1 FROM tool_usage t WHERE t.session_id = old.session_id) BEGIN
    UPDATE botstore_user_tool SET uses = uses - (
        SELECT count(*) FROM tool_usage t
        WHERE t.session_id = old.session_id AND t.tool_name = botstore_user_tool.tool_name)
    WHERE user_id = old.user_id;
    DELETE FROM botstore_user_tool WHERE user_id = old.user_id AND uses = 0;
END;
CREATE TRIGGER botstore_session_moved AFTER UPDATE OF session_id, user_id ON sessions
WHEN old.session_id IS NOT new.session_id OR old.user_id IS NOT new.user_id BEGIN
    UPDATE botstore_user_tool SET uses = uses - (
        SELECT count(*) FROM tool_usage t
        WHERE t.session_id = old.session_id AND t.tool_name = botstore_user_tool.tool_name)
    WHERE user_id = old.user_id;
    DELETE FROM botstore_user_tool WHERE user_id = old.user_id AND uses = 0;
    INSERT INTO botstore_user_tool (user_id, tool_name, uses)
    SELECT new.user_id, tool_name, count(*) FROM tool_usage
    WHERE session_id = new.session_id GROUP BY tool_name
    ON CONFLICT (user_id, tool_name) DO UPDATE SET uses = uses + excluded.uses;
END;

-- Statistics that REPLACE, or a session that went without its tool uses, made wrong before are counted anew.
UPDATE botstore_total SET filled = 0;
