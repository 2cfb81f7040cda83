-- What an interaction has beside its message: the system prompt, what tools returned, files, what users think of the
-- answer, and what only the bot knows. One that has none of it writes no row here.

-- A system prompt, once for all requests that had it.
CREATE TABLE botstore_prompt (
    prompt_id INTEGER PRIMARY KEY,
    sha256    BLOB NOT NULL, -- of the body
    name      TEXT NOT NULL, -- '' if it has none, since NULL is never the same as NULL
    version   TEXT NOT NULL, -- the same
    body      TEXT NOT NULL,
    UNIQUE (sha256, name, version)
);
-- Whether a request still has it. A request without one writes no page of this.
CREATE INDEX botstore_usage_prompt ON botstore_usage(prompt_id) WHERE prompt_id IS NOT NULL;

-- What a tool returned.
CREATE TABLE botstore_tool_result (
    tool_usage_id INTEGER PRIMARY KEY,
    call_id       TEXT,    -- the provider's id of the call
    result        TEXT,    -- as much of it as is kept
    bytes         INTEGER, -- how long the whole result was, as UTF-8
    truncated     INTEGER NOT NULL DEFAULT 0,
    duration_ms   INTEGER
);

-- A file that came with a prompt or an answer. The file itself is where the messenger or the bot has it.
CREATE TABLE botstore_attachment (
    attachment_id    INTEGER PRIMARY KEY,
    message_id       INTEGER NOT NULL,
    direction        TEXT NOT NULL CHECK (direction IN ('in', 'out')), -- from the user, from the bot
    kind             TEXT NOT NULL,
    mime             TEXT,
    name             TEXT,
    bytes            INTEGER,
    sha256           BLOB,
    platform_file_id TEXT
);
CREATE INDEX botstore_attachment_message ON botstore_attachment(message_id);

-- What a user thinks of an answer: the last word of each user.
CREATE TABLE botstore_feedback (
    feedback_id INTEGER PRIMARY KEY,
    message_id  INTEGER NOT NULL,
    user_id     INTEGER NOT NULL,
    rating      INTEGER NOT NULL CHECK (rating IN (-1, 0, 1)),
    tag         TEXT,
    comment     TEXT,
    at          TEXT NOT NULL,
    UNIQUE (message_id, user_id)
);
CREATE INDEX botstore_feedback_message ON botstore_feedback(message_id);
CREATE INDEX botstore_feedback_user ON botstore_feedback(user_id);

-- What only the bot knows how to read.
CREATE TABLE botstore_message_metadata (
    message_id INTEGER PRIMARY KEY,
    metadata   JSON
);
CREATE TABLE botstore_session_metadata (
    session_id TEXT PRIMARY KEY,
    metadata   JSON
);
CREATE TABLE botstore_user_metadata (
    user_id  INTEGER PRIMARY KEY,
    metadata JSON
);

-- These rows go and move with the row that they belong to, whoever changes that. Not by foreign keys: those of a program
-- that has them off, as is SQLite's default, do nothing; and they may read a whole table for each row that goes, since
-- SQLite plans by old statistics. So first it is asked whether there are any, which is answered by an index alone. No
-- trigger names an index: without it, as somebody may have dropped it, the row could not go.
CREATE TRIGGER botstore_attachment_gone AFTER DELETE ON messages
WHEN EXISTS (SELECT 1 FROM botstore_attachment WHERE message_id = old.message_id) BEGIN
    DELETE FROM botstore_attachment WHERE message_id = old.message_id;
END;
CREATE TRIGGER botstore_feedback_gone AFTER DELETE ON messages
WHEN EXISTS (SELECT 1 FROM botstore_feedback WHERE message_id = old.message_id) BEGIN
    DELETE FROM botstore_feedback WHERE message_id = old.message_id;
END;
CREATE TRIGGER botstore_message_metadata_gone AFTER DELETE ON messages BEGIN
    DELETE FROM botstore_message_metadata WHERE message_id = old.message_id;
END;
-- What has the new id already belongs to a row that this one replaces. Not "UPDATE OF": the id may also be set as
-- "rowid".
CREATE TRIGGER botstore_message_details_moved AFTER UPDATE ON messages
WHEN old.message_id IS NOT new.message_id BEGIN
    DELETE FROM botstore_attachment WHERE message_id = new.message_id;
    UPDATE botstore_attachment SET message_id = new.message_id WHERE message_id = old.message_id;
    DELETE FROM botstore_feedback WHERE message_id = new.message_id;
    UPDATE botstore_feedback SET message_id = new.message_id WHERE message_id = old.message_id;
    DELETE FROM botstore_message_metadata WHERE message_id = new.message_id;
    UPDATE botstore_message_metadata SET message_id = new.message_id WHERE message_id = old.message_id;
END;

CREATE TRIGGER botstore_tool_result_gone AFTER DELETE ON tool_usage BEGIN
    DELETE FROM botstore_tool_result WHERE tool_usage_id = old.id;
END;
CREATE TRIGGER botstore_tool_result_moved AFTER UPDATE ON tool_usage WHEN old.id IS NOT new.id BEGIN
    DELETE FROM botstore_tool_result WHERE tool_usage_id = new.id;
    UPDATE botstore_tool_result SET tool_usage_id = new.id WHERE tool_usage_id = old.id;
END;

CREATE TRIGGER botstore_session_metadata_gone AFTER DELETE ON sessions BEGIN
    DELETE FROM botstore_session_metadata WHERE session_id = old.session_id;
END;
-- "UPDATE OF", since every message changes its session and its user.
CREATE TRIGGER botstore_session_metadata_moved AFTER UPDATE OF session_id ON sessions
WHEN old.session_id IS NOT new.session_id BEGIN
    DELETE FROM botstore_session_metadata WHERE session_id = new.session_id;
    UPDATE botstore_session_metadata SET session_id = new.session_id WHERE session_id = old.session_id;
END;

CREATE TRIGGER botstore_user_feedback_gone AFTER DELETE ON users
WHEN EXISTS (SELECT 1 FROM botstore_feedback WHERE user_id = old.user_id) BEGIN
    DELETE FROM botstore_feedback WHERE user_id = old.user_id;
END;
CREATE TRIGGER botstore_user_metadata_gone AFTER DELETE ON users BEGIN
    DELETE FROM botstore_user_metadata WHERE user_id = old.user_id;
END;
CREATE TRIGGER botstore_user_details_moved AFTER UPDATE OF user_id, rowid, oid, _rowid_ ON users
WHEN old.user_id IS NOT new.user_id BEGIN
    DELETE FROM botstore_feedback WHERE user_id = new.user_id;
    UPDATE botstore_feedback SET user_id = new.user_id WHERE user_id = old.user_id;
    DELETE FROM botstore_user_metadata WHERE user_id = new.user_id;
    UPDATE botstore_user_metadata SET user_id = new.user_id WHERE user_id = old.user_id;
END;

-- A prompt may be made for one user. It goes with the last request that had it.
CREATE TRIGGER botstore_prompt_gone AFTER DELETE ON botstore_usage WHEN old.prompt_id IS NOT NULL BEGIN
    DELETE FROM botstore_prompt WHERE prompt_id = old.prompt_id AND NOT EXISTS (
        SELECT 1 FROM botstore_usage WHERE prompt_id = old.prompt_id);
END;
CREATE TRIGGER botstore_prompt_changed AFTER UPDATE OF prompt_id ON botstore_usage
WHEN old.prompt_id IS NOT NULL AND old.prompt_id IS NOT new.prompt_id BEGIN
    DELETE FROM botstore_prompt WHERE prompt_id = old.prompt_id AND NOT EXISTS (
        SELECT 1 FROM botstore_usage WHERE prompt_id = old.prompt_id);
END;
