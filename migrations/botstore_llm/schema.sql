CREATE TABLE botstore_usage (
    usage_id                    INTEGER PRIMARY KEY, -- the message's id; below 0 for a request that is no message
    user_id                     INTEGER,             -- as in the message
    at                          TEXT,                -- as in the message
    provider_name               TEXT,
    request_model               TEXT,
    response_model              TEXT,
    response_id                 TEXT,
    input_tokens                INTEGER CHECK (typeof(input_tokens) <> 'integer' OR input_tokens >= 0),
    cache_read_input_tokens     INTEGER CHECK (typeof(cache_read_input_tokens) <> 'integer' OR cache_read_input_tokens >= 0),
    cache_creation_input_tokens INTEGER CHECK (typeof(cache_creation_input_tokens) <> 'integer' OR cache_creation_input_tokens >= 0),
    output_tokens               INTEGER CHECK (typeof(output_tokens) <> 'integer' OR output_tokens >= 0),
    reasoning_output_tokens     INTEGER CHECK (typeof(reasoning_output_tokens) <> 'integer' OR reasoning_output_tokens >= 0),
    cost_nanos                  INTEGER,             -- US dollars in billionths
    cost_source                 TEXT CHECK (cost_source IN ('provider', 'catalogue', 'estimate')),
    finish_reason               TEXT,
    time_to_first_chunk_ms      INTEGER,
    platform                    TEXT,
    chat_id                     TEXT,
    thread_id                   TEXT,
    platform_message_id         TEXT,
    reply_to                    TEXT,
    prompt_id                   INTEGER              -- the system prompt, in botstore_prompt
);

CREATE INDEX botstore_usage_other ON botstore_usage(at) WHERE usage_id < 0;

CREATE INDEX botstore_usage_other_user ON botstore_usage(user_id, at) WHERE usage_id < 0;

CREATE TRIGGER botstore_usage_gone AFTER DELETE ON messages BEGIN
    DELETE FROM botstore_usage WHERE usage_id = old.message_id;
END;

CREATE TRIGGER botstore_usage_moved AFTER UPDATE ON messages
WHEN old.message_id IS NOT new.message_id
  OR old.user_id IS NOT new.user_id
  OR old.timestamp IS NOT new.timestamp
  OR old.cost IS NOT new.cost BEGIN
    -- Not "UPDATE OR REPLACE": the outer statement's own "OR" would hold here instead.
    DELETE FROM botstore_usage WHERE usage_id = new.message_id AND old.message_id IS NOT new.message_id;
    UPDATE botstore_usage SET
        usage_id = new.message_id, user_id = new.user_id, at = new.timestamp,
        cost_nanos = CASE WHEN old.cost IS new.cost THEN cost_nanos ELSE
            CAST(round(1e9 * CASE WHEN 0.0 + new.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + new.cost WHEN 0.0 + new.cost > 9e6 AND 0.0 + new.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER) END,
        cost_source = CASE WHEN old.cost IS new.cost THEN cost_source ELSE 'provider' END
    WHERE usage_id = old.message_id;
END;

CREATE TABLE botstore_prompt (
    prompt_id INTEGER PRIMARY KEY,
    sha256    BLOB NOT NULL, -- of the body
    name      TEXT NOT NULL, -- '' if it has none, since NULL is never the same as NULL
    version   TEXT NOT NULL, -- the same
    body      TEXT NOT NULL,
    UNIQUE (sha256, name, version)
);

CREATE INDEX botstore_usage_prompt ON botstore_usage(prompt_id) WHERE prompt_id IS NOT NULL;

CREATE TABLE botstore_tool_result (
    tool_usage_id INTEGER PRIMARY KEY,
    call_id       TEXT,    -- the provider's id of the call
    result        TEXT,    -- as much of it as is kept
    bytes         INTEGER, -- how long the whole result was, as UTF-8
    truncated     INTEGER NOT NULL DEFAULT 0,
    duration_ms   INTEGER
);

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

CREATE TRIGGER botstore_prompt_gone AFTER DELETE ON botstore_usage WHEN old.prompt_id IS NOT NULL BEGIN
    DELETE FROM botstore_prompt WHERE prompt_id = old.prompt_id AND NOT EXISTS (
        SELECT 1 FROM botstore_usage WHERE prompt_id = old.prompt_id);
END;

CREATE TRIGGER botstore_prompt_changed AFTER UPDATE OF prompt_id ON botstore_usage
WHEN old.prompt_id IS NOT NULL AND old.prompt_id IS NOT new.prompt_id BEGIN
    DELETE FROM botstore_prompt WHERE prompt_id = old.prompt_id AND NOT EXISTS (
        SELECT 1 FROM botstore_usage WHERE prompt_id = old.prompt_id);
END
