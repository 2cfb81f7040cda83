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
    -- Not "IN (...)": of three values or more, SQLite makes a table for each row that is inserted.
    cost_source                 TEXT CHECK (cost_source = 'provider' OR cost_source = 'catalogue' OR cost_source = 'estimate'),
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

CREATE TABLE botstore_usage_counted (
    source     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    last_id    INTEGER NOT NULL,
    PRIMARY KEY (source, generation)
) WITHOUT ROWID;

CREATE TABLE botstore_model_day (
    generation          INTEGER NOT NULL,
    day                 TEXT    NOT NULL,
    provider            TEXT    NOT NULL,
    model               TEXT    NOT NULL, -- that the bot asked for
    requests            INTEGER NOT NULL,
    unpriced            INTEGER NOT NULL, -- requests whose cost is not known
    unmeasured          INTEGER NOT NULL, -- requests whose input or output tokens are not known
    input_tokens        INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    cache_write_tokens  INTEGER NOT NULL,
    output_tokens       INTEGER NOT NULL,
    reasoning_tokens    INTEGER NOT NULL,
    cost                INTEGER NOT NULL,
    PRIMARY KEY (generation, day, provider, model)
) WITHOUT ROWID;

CREATE TABLE botstore_user_model_day (
    generation          INTEGER NOT NULL,
    day                 TEXT    NOT NULL,
    user_id             INTEGER NOT NULL,
    provider            TEXT    NOT NULL,
    model               TEXT    NOT NULL,
    requests            INTEGER NOT NULL,
    unpriced            INTEGER NOT NULL, -- requests whose cost is not known
    unmeasured          INTEGER NOT NULL, -- requests whose input or output tokens are not known
    input_tokens        INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    cache_write_tokens  INTEGER NOT NULL,
    output_tokens       INTEGER NOT NULL,
    reasoning_tokens    INTEGER NOT NULL,
    cost                INTEGER NOT NULL,
    PRIMARY KEY (generation, day, user_id, provider, model)
) WITHOUT ROWID;

CREATE INDEX botstore_user_model_day_user ON botstore_user_model_day(generation, user_id, day);

CREATE TABLE botstore_chat_day (
    generation INTEGER NOT NULL,
    day        TEXT    NOT NULL,
    chat       TEXT    NOT NULL,
    requests   INTEGER NOT NULL,
    tokens     INTEGER NOT NULL, -- input and output
    cost       INTEGER NOT NULL,
    PRIMARY KEY (generation, day, chat)
) WITHOUT ROWID;

CREATE INDEX botstore_chat_day_chat ON botstore_chat_day(generation, chat, day);

CREATE TABLE botstore_other_day (
    generation INTEGER NOT NULL,
    day        TEXT    NOT NULL,
    user_id    INTEGER NOT NULL,
    requests   INTEGER NOT NULL,
    cost       INTEGER NOT NULL,
    PRIMARY KEY (generation, day, user_id)
) WITHOUT ROWID;

CREATE INDEX botstore_other_day_user ON botstore_other_day(generation, user_id, day);

CREATE TABLE botstore_usage_count (
    requests, generation, day, user_id, provider, model, chat, other, unpriced, unmeasured, input_tokens,
    cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost
);

CREATE TRIGGER botstore_usages_added BEFORE INSERT ON botstore_usage_count
WHEN new.requests > 0 AND typeof(new.user_id) = 'integer' BEGIN
    INSERT INTO botstore_model_day (
        generation, day, provider, model, requests, unpriced, unmeasured, input_tokens, cached_input_tokens,
        cache_write_tokens, output_tokens, reasoning_tokens, cost)
    VALUES (new.generation, new.day, new.provider, new.model, new.requests, new.unpriced, new.unmeasured,
            CAST(new.input_tokens AS INTEGER), CAST(new.cached_input_tokens AS INTEGER),
            CAST(new.cache_write_tokens AS INTEGER), CAST(new.output_tokens AS INTEGER),
            CAST(new.reasoning_tokens AS INTEGER), CAST(new.cost AS INTEGER))
    ON CONFLICT (generation, day, provider, model) DO UPDATE SET
        requests = requests + excluded.requests, unpriced = unpriced + excluded.unpriced,
        unmeasured = unmeasured + excluded.unmeasured,
        input_tokens = CAST(input_tokens + excluded.input_tokens AS INTEGER),
        cached_input_tokens = CAST(cached_input_tokens + excluded.cached_input_tokens AS INTEGER),
        cache_write_tokens = CAST(cache_write_tokens + excluded.cache_write_tokens AS INTEGER),
        output_tokens = CAST(output_tokens + excluded.output_tokens AS INTEGER),
        reasoning_tokens = CAST(reasoning_tokens + excluded.reasoning_tokens AS INTEGER),
        cost = CAST(cost + excluded.cost AS INTEGER);
    INSERT INTO botstore_user_model_day (
        generation, day, user_id, provider, model, requests, unpriced, unmeasured, input_tokens, cached_input_tokens,
        cache_write_tokens, output_tokens, reasoning_tokens, cost)
    VALUES (new.generation, new.day, new.user_id, new.provider, new.model, new.requests, new.unpriced, new.unmeasured,
            CAST(new.input_tokens AS INTEGER), CAST(new.cached_input_tokens AS INTEGER),
            CAST(new.cache_write_tokens AS INTEGER), CAST(new.output_tokens AS INTEGER),
            CAST(new.reasoning_tokens AS INTEGER), CAST(new.cost AS INTEGER))
    ON CONFLICT (generation, day, user_id, provider, model) DO UPDATE SET
        requests = requests + excluded.requests, unpriced = unpriced + excluded.unpriced,
        unmeasured = unmeasured + excluded.unmeasured,
        input_tokens = CAST(input_tokens + excluded.input_tokens AS INTEGER),
        cached_input_tokens = CAST(cached_input_tokens + excluded.cached_input_tokens AS INTEGER),
        cache_write_tokens = CAST(cache_write_tokens + excluded.cache_write_tokens AS INTEGER),
        output_tokens = CAST(output_tokens + excluded.output_tokens AS INTEGER),
        reasoning_tokens = CAST(reasoning_tokens + excluded.reasoning_tokens AS INTEGER),
        cost = CAST(cost + excluded.cost AS INTEGER);
    INSERT INTO botstore_chat_day (generation, day, chat, requests, tokens, cost)
    SELECT new.generation, new.day, new.chat, new.requests, CAST(new.input_tokens + new.output_tokens AS INTEGER),
           CAST(new.cost AS INTEGER)
    WHERE new.chat <> ''
    ON CONFLICT (generation, day, chat) DO UPDATE SET
        requests = requests + excluded.requests, tokens = CAST(tokens + excluded.tokens AS INTEGER),
        cost = CAST(cost + excluded.cost AS INTEGER);
    INSERT INTO botstore_other_day (generation, day, user_id, requests, cost)
    SELECT new.generation, new.day, new.user_id, new.requests, CAST(new.cost AS INTEGER)
    WHERE new.other
    ON CONFLICT (generation, day, user_id) DO UPDATE SET
        requests = requests + excluded.requests, cost = CAST(cost + excluded.cost AS INTEGER);
    SELECT RAISE(IGNORE);
END;

CREATE TRIGGER botstore_usages_removed BEFORE INSERT ON botstore_usage_count
WHEN new.requests < 0 AND typeof(new.user_id) = 'integer' BEGIN
    UPDATE botstore_model_day SET
        requests = requests + new.requests, unpriced = unpriced + new.unpriced,
        unmeasured = unmeasured + new.unmeasured,
        input_tokens = CAST(input_tokens + new.input_tokens AS INTEGER),
        cached_input_tokens = CAST(cached_input_tokens + new.cached_input_tokens AS INTEGER),
        cache_write_tokens = CAST(cache_write_tokens + new.cache_write_tokens AS INTEGER),
        output_tokens = CAST(output_tokens + new.output_tokens AS INTEGER),
        reasoning_tokens = CAST(reasoning_tokens + new.reasoning_tokens AS INTEGER),
        cost = CAST(cost + new.cost AS INTEGER)
    WHERE generation = new.generation AND day = new.day AND provider = new.provider AND model = new.model;
    DELETE FROM botstore_model_day
    WHERE generation = new.generation AND day = new.day AND provider = new.provider AND model = new.model
      AND requests <= 0;
    UPDATE botstore_user_model_day SET
        requests = requests + new.requests, unpriced = unpriced + new.unpriced,
        unmeasured = unmeasured + new.unmeasured,
        input_tokens = CAST(input_tokens + new.input_tokens AS INTEGER),
        cached_input_tokens = CAST(cached_input_tokens + new.cached_input_tokens AS INTEGER),
        cache_write_tokens = CAST(cache_write_tokens + new.cache_write_tokens AS INTEGER),
        output_tokens = CAST(output_tokens + new.output_tokens AS INTEGER),
        reasoning_tokens = CAST(reasoning_tokens + new.reasoning_tokens AS INTEGER),
        cost = CAST(cost + new.cost AS INTEGER)
    WHERE generation = new.generation AND day = new.day AND user_id = new.user_id AND provider = new.provider
      AND model = new.model;
    DELETE FROM botstore_user_model_day
    WHERE generation = new.generation AND day = new.day AND user_id = new.user_id AND provider = new.provider
      AND model = new.model AND requests <= 0;
    UPDATE botstore_chat_day SET
        requests = requests + new.requests,
        tokens = CAST(tokens + (new.input_tokens + new.output_tokens) AS INTEGER),
        cost = CAST(cost + new.cost AS INTEGER)
    WHERE generation = new.generation AND day = new.day AND chat = new.chat;
    DELETE FROM botstore_chat_day
    WHERE generation = new.generation AND day = new.day AND chat = new.chat AND requests <= 0;
    UPDATE botstore_other_day SET
        requests = requests + new.requests, cost = CAST(cost + new.cost AS INTEGER)
    WHERE new.other AND generation = new.generation AND day = new.day AND user_id = new.user_id;
    DELETE FROM botstore_other_day
    WHERE new.other AND generation = new.generation AND day = new.day AND user_id = new.user_id AND requests <= 0;
    SELECT RAISE(IGNORE);
END;

CREATE TRIGGER botstore_usage_added AFTER INSERT ON botstore_usage
WHEN EXISTS (SELECT 1 FROM botstore_usage_counted WHERE source = 'botstore_usage' AND last_id >= new.usage_id) BEGIN
    INSERT INTO botstore_usage_count (
        requests, generation, day, user_id, provider, model, chat, other, unpriced, unmeasured, input_tokens,
        cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost)
    SELECT 1, c.generation, coalesce(date(datetime(substr(new.at, 1, 19)), coalesce((SELECT offset_seconds FROM botstore_zone WHERE generation = c.generation AND since <= datetime(substr(new.at, 1, 19)) ORDER BY since DESC LIMIT 1), 0) || ' seconds'), ''),
        new.user_id, CAST(coalesce(new.provider_name, '') AS TEXT), CAST(coalesce(new.request_model, '') AS TEXT),
        CAST(coalesce(new.platform || '/' || new.chat_id, '') AS TEXT), (new.usage_id < 0),
        (new.cost_nanos IS NULL), (new.input_tokens IS NULL OR new.output_tokens IS NULL),
        max(0, min(1000000000000, CAST(coalesce(new.input_tokens, 0) AS INTEGER))),
        max(0, min(1000000000000, CAST(coalesce(new.cache_read_input_tokens, 0) AS INTEGER))),
        max(0, min(1000000000000, CAST(coalesce(new.cache_creation_input_tokens, 0) AS INTEGER))),
        max(0, min(1000000000000, CAST(coalesce(new.output_tokens, 0) AS INTEGER))),
        max(0, min(1000000000000, CAST(coalesce(new.reasoning_output_tokens, 0) AS INTEGER))),
        max(0, min(9000000000000000, CAST(coalesce(new.cost_nanos, 0) AS INTEGER)))
    FROM botstore_usage_counted c WHERE c.source = 'botstore_usage' AND c.last_id >= new.usage_id;
END;

CREATE TRIGGER botstore_usage_removed AFTER DELETE ON botstore_usage
WHEN EXISTS (SELECT 1 FROM botstore_usage_counted WHERE source = 'botstore_usage' AND last_id >= old.usage_id) BEGIN
    INSERT INTO botstore_usage_count (
        requests, generation, day, user_id, provider, model, chat, other, unpriced, unmeasured, input_tokens,
        cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost)
    SELECT -1, c.generation, coalesce(date(datetime(substr(old.at, 1, 19)), coalesce((SELECT offset_seconds FROM botstore_zone WHERE generation = c.generation AND since <= datetime(substr(old.at, 1, 19)) ORDER BY since DESC LIMIT 1), 0) || ' seconds'), ''),
        old.user_id, CAST(coalesce(old.provider_name, '') AS TEXT), CAST(coalesce(old.request_model, '') AS TEXT),
        CAST(coalesce(old.platform || '/' || old.chat_id, '') AS TEXT), (old.usage_id < 0),
        -(old.cost_nanos IS NULL), -(old.input_tokens IS NULL OR old.output_tokens IS NULL),
        -max(0, min(1000000000000, CAST(coalesce(old.input_tokens, 0) AS INTEGER))),
        -max(0, min(1000000000000, CAST(coalesce(old.cache_read_input_tokens, 0) AS INTEGER))),
        -max(0, min(1000000000000, CAST(coalesce(old.cache_creation_input_tokens, 0) AS INTEGER))),
        -max(0, min(1000000000000, CAST(coalesce(old.output_tokens, 0) AS INTEGER))),
        -max(0, min(1000000000000, CAST(coalesce(old.reasoning_output_tokens, 0) AS INTEGER))),
        -max(0, min(9000000000000000, CAST(coalesce(old.cost_nanos, 0) AS INTEGER)))
    FROM botstore_usage_counted c WHERE c.source = 'botstore_usage' AND c.last_id >= old.usage_id;
END;

CREATE TRIGGER botstore_usage_changed AFTER UPDATE ON botstore_usage
WHEN EXISTS (SELECT 1 FROM botstore_usage_counted WHERE source = 'botstore_usage' AND last_id >= min(old.usage_id, new.usage_id))
  AND (old.usage_id IS NOT new.usage_id
    OR old.user_id IS NOT new.user_id
    OR old.at IS NOT new.at
    OR old.provider_name IS NOT new.provider_name
    OR old.request_model IS NOT new.request_model
    OR old.input_tokens IS NOT new.input_tokens
    OR old.cache_read_input_tokens IS NOT new.cache_read_input_tokens
    OR old.cache_creation_input_tokens IS NOT new.cache_creation_input_tokens
    OR old.output_tokens IS NOT new.output_tokens
    OR old.reasoning_output_tokens IS NOT new.reasoning_output_tokens
    OR old.cost_nanos IS NOT new.cost_nanos
    OR old.platform IS NOT new.platform
    OR old.chat_id IS NOT new.chat_id) BEGIN
    INSERT INTO botstore_usage_count (
        requests, generation, day, user_id, provider, model, chat, other, unpriced, unmeasured, input_tokens,
        cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost)
    SELECT 1, c.generation, coalesce(date(datetime(substr(new.at, 1, 19)), coalesce((SELECT offset_seconds FROM botstore_zone WHERE generation = c.generation AND since <= datetime(substr(new.at, 1, 19)) ORDER BY since DESC LIMIT 1), 0) || ' seconds'), ''),
        new.user_id, CAST(coalesce(new.provider_name, '') AS TEXT), CAST(coalesce(new.request_model, '') AS TEXT),
        CAST(coalesce(new.platform || '/' || new.chat_id, '') AS TEXT), (new.usage_id < 0),
        (new.cost_nanos IS NULL), (new.input_tokens IS NULL OR new.output_tokens IS NULL),
        max(0, min(1000000000000, CAST(coalesce(new.input_tokens, 0) AS INTEGER))),
        max(0, min(1000000000000, CAST(coalesce(new.cache_read_input_tokens, 0) AS INTEGER))),
        max(0, min(1000000000000, CAST(coalesce(new.cache_creation_input_tokens, 0) AS INTEGER))),
        max(0, min(1000000000000, CAST(coalesce(new.output_tokens, 0) AS INTEGER))),
        max(0, min(1000000000000, CAST(coalesce(new.reasoning_output_tokens, 0) AS INTEGER))),
        max(0, min(9000000000000000, CAST(coalesce(new.cost_nanos, 0) AS INTEGER)))
    FROM botstore_usage_counted c WHERE c.source = 'botstore_usage' AND c.last_id >= new.usage_id;
    INSERT INTO botstore_usage_count (
        requests, generation, day, user_id, provider, model, chat, other, unpriced, unmeasured, input_tokens,
        cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost)
    SELECT -1, c.generation, coalesce(date(datetime(substr(old.at, 1, 19)), coalesce((SELECT offset_seconds FROM botstore_zone WHERE generation = c.generation AND since <= datetime(substr(old.at, 1, 19)) ORDER BY since DESC LIMIT 1), 0) || ' seconds'), ''),
        old.user_id, CAST(coalesce(old.provider_name, '') AS TEXT), CAST(coalesce(old.request_model, '') AS TEXT),
        CAST(coalesce(old.platform || '/' || old.chat_id, '') AS TEXT), (old.usage_id < 0),
        -(old.cost_nanos IS NULL), -(old.input_tokens IS NULL OR old.output_tokens IS NULL),
        -max(0, min(1000000000000, CAST(coalesce(old.input_tokens, 0) AS INTEGER))),
        -max(0, min(1000000000000, CAST(coalesce(old.cache_read_input_tokens, 0) AS INTEGER))),
        -max(0, min(1000000000000, CAST(coalesce(old.cache_creation_input_tokens, 0) AS INTEGER))),
        -max(0, min(1000000000000, CAST(coalesce(old.output_tokens, 0) AS INTEGER))),
        -max(0, min(1000000000000, CAST(coalesce(old.reasoning_output_tokens, 0) AS INTEGER))),
        -max(0, min(9000000000000000, CAST(coalesce(old.cost_nanos, 0) AS INTEGER)))
    FROM botstore_usage_counted c WHERE c.source = 'botstore_usage' AND c.last_id >= old.usage_id;
END;

CREATE TABLE botstore_price (
    provider     TEXT    NOT NULL CHECK (typeof(provider) = 'text' AND provider <> ''),
    model        TEXT    NOT NULL CHECK (typeof(model) = 'text' AND model <> ''),
    valid_from   TEXT    NOT NULL CHECK (typeof(valid_from) = 'text' AND length(valid_from) = 32),
    input        INTEGER NOT NULL CHECK (typeof(input) = 'integer' AND input >= 0),
    cached_input INTEGER          CHECK (typeof(cached_input) IN ('integer', 'null') AND cached_input >= 0), -- else as input
    cache_write  INTEGER          CHECK (typeof(cache_write) IN ('integer', 'null') AND cache_write >= 0),   -- else as input
    output       INTEGER NOT NULL CHECK (typeof(output) = 'integer' AND output >= 0),
    reasoning    INTEGER          CHECK (typeof(reasoning) IN ('integer', 'null') AND reasoning >= 0),       -- else as output
    PRIMARY KEY (provider, model, valid_from)
) WITHOUT ROWID;

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
END;

CREATE TABLE botstore_limit (
    scope    TEXT    NOT NULL CHECK (scope IN ('everyone', 'each_user', 'user', 'chat', 'model')),
    who              NOT NULL, -- a user's id, a chat as platform/id, a model; '' if the scope needs none
    measure  TEXT    NOT NULL CHECK (measure IN ('cost', 'requests', 'tokens')),
    per      TEXT    NOT NULL CHECK (per IN ('minute', 'hour', 'day', 'week', 'month', 'ever')),
    max      INTEGER NOT NULL CHECK (typeof(max) = 'integer' AND max >= 0), -- a cost in billionths of a dollar
    soft     INTEGER CHECK (typeof(soft) IN ('integer', 'null') AND coalesce(soft <= max, 1)),
    limit_id INTEGER NOT NULL, -- growing, for lists
    set_at   TEXT    NOT NULL,
    PRIMARY KEY (scope, who, measure, per)
) WITHOUT ROWID;

CREATE UNIQUE INDEX botstore_limit_by_id ON botstore_limit(limit_id);

CREATE TABLE botstore_spent (
    scope    TEXT,
    who,              -- as in a limit
    per      TEXT,
    starts   TEXT,    -- UTC, as the store spells times, to the second
    ends     TEXT,
    cost     INTEGER, -- billionths of a dollar
    requests INTEGER,
    tokens   INTEGER, -- input and output
    PRIMARY KEY (scope, who, ends, per)
) WITHOUT ROWID;

CREATE INDEX botstore_spent_ends ON botstore_spent(ends);

CREATE TABLE botstore_reservation (
    reservation_id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id        INTEGER,
    chat           TEXT,
    model          TEXT,
    cost           INTEGER, -- billionths of a dollar
    tokens         INTEGER,
    made_at        INTEGER, -- in microseconds since 1970
    until          INTEGER,
    state          TEXT,    -- open, settled, released or expired
    settled_by     INTEGER  -- a message, or a row of botstore_usage
);

CREATE INDEX botstore_reservation_open ON botstore_reservation(CAST(coalesce(until, 0) AS INTEGER)) WHERE state = 'open';

CREATE TABLE botstore_spender (
    scope TEXT NOT NULL,
    who        NOT NULL,
    PRIMARY KEY (scope, who)
) WITHOUT ROWID;

CREATE TABLE botstore_limit_told (
    scope   TEXT    NOT NULL,
    who             NOT NULL,
    measure TEXT    NOT NULL,
    per     TEXT    NOT NULL,
    whose           NOT NULL, -- a limit of each user is reached by one of them; '' for other limits
    starts  TEXT    NOT NULL,
    ends    TEXT    NOT NULL,
    spent   INTEGER NOT NULL,
    near    INTEGER NOT NULL,
    reached INTEGER NOT NULL,
    PRIMARY KEY (scope, who, measure, per, whose)
) WITHOUT ROWID;

CREATE INDEX botstore_limit_told_ends ON botstore_limit_told(ends);

CREATE INDEX botstore_limit_to_tell ON botstore_limit_told(near) WHERE near = 1 OR reached = 1;

CREATE TRIGGER botstore_message_spends AFTER INSERT ON messages
WHEN EXISTS (SELECT 1 FROM botstore_limit) AND typeof(new.user_id) = 'integer' BEGIN
    UPDATE botstore_spent SET
        cost = CAST(cost + CAST(round(1e9 * CASE WHEN 0.0 + new.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + new.cost WHEN 0.0 + new.cost > 9e6 AND 0.0 + new.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER) AS INTEGER),
        requests = requests + 1
    WHERE scope = 'everyone' AND who = '' AND ends > new.timestamp AND starts <= new.timestamp;
    UPDATE botstore_spent SET
        cost = CAST(cost + CAST(round(1e9 * CASE WHEN 0.0 + new.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + new.cost WHEN 0.0 + new.cost > 9e6 AND 0.0 + new.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER) AS INTEGER),
        requests = requests + 1
    WHERE scope = 'user' AND who = new.user_id AND ends > new.timestamp AND starts <= new.timestamp;
    INSERT INTO botstore_spender (scope, who) VALUES ('user', new.user_id) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER botstore_message_unspent AFTER DELETE ON messages
WHEN EXISTS (SELECT 1 FROM botstore_limit) BEGIN
    UPDATE botstore_spent SET
        cost = CAST(cost - CAST(round(1e9 * CASE WHEN 0.0 + old.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + old.cost WHEN 0.0 + old.cost > 9e6 AND 0.0 + old.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER) AS INTEGER),
        requests = requests - 1
    WHERE typeof(old.user_id) = 'integer' AND scope = 'everyone' AND who = '' AND ends > old.timestamp AND starts <= old.timestamp;
    UPDATE botstore_spent SET
        cost = CAST(cost - CAST(round(1e9 * CASE WHEN 0.0 + old.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + old.cost WHEN 0.0 + old.cost > 9e6 AND 0.0 + old.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER) AS INTEGER),
        requests = requests - 1
    WHERE typeof(old.user_id) = 'integer' AND scope = 'user' AND who = old.user_id AND ends > old.timestamp AND starts <= old.timestamp;
END;

CREATE TRIGGER botstore_message_respent AFTER UPDATE ON messages
WHEN EXISTS (SELECT 1 FROM botstore_limit)
  AND (old.user_id IS NOT new.user_id OR old.timestamp IS NOT new.timestamp OR old.cost IS NOT new.cost) BEGIN
    UPDATE botstore_spent SET
        cost = CAST(cost - CAST(round(1e9 * CASE WHEN 0.0 + old.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + old.cost WHEN 0.0 + old.cost > 9e6 AND 0.0 + old.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER) AS INTEGER),
        requests = requests - 1
    WHERE typeof(old.user_id) = 'integer' AND scope = 'everyone' AND who = '' AND ends > old.timestamp AND starts <= old.timestamp;
    UPDATE botstore_spent SET
        cost = CAST(cost - CAST(round(1e9 * CASE WHEN 0.0 + old.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + old.cost WHEN 0.0 + old.cost > 9e6 AND 0.0 + old.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER) AS INTEGER),
        requests = requests - 1
    WHERE typeof(old.user_id) = 'integer' AND scope = 'user' AND who = old.user_id AND ends > old.timestamp AND starts <= old.timestamp;
    UPDATE botstore_spent SET
        cost = CAST(cost + CAST(round(1e9 * CASE WHEN 0.0 + new.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + new.cost WHEN 0.0 + new.cost > 9e6 AND 0.0 + new.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER) AS INTEGER),
        requests = requests + 1
    WHERE typeof(new.user_id) = 'integer' AND scope = 'everyone' AND who = '' AND ends > new.timestamp AND starts <= new.timestamp;
    UPDATE botstore_spent SET
        cost = CAST(cost + CAST(round(1e9 * CASE WHEN 0.0 + new.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + new.cost WHEN 0.0 + new.cost > 9e6 AND 0.0 + new.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER) AS INTEGER),
        requests = requests + 1
    WHERE typeof(new.user_id) = 'integer' AND scope = 'user' AND who = new.user_id AND ends > new.timestamp AND starts <= new.timestamp;
    INSERT INTO botstore_spender (scope, who)
    SELECT 'user', new.user_id WHERE typeof(new.user_id) = 'integer'
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER botstore_usage_spends AFTER INSERT ON botstore_usage
WHEN EXISTS (SELECT 1 FROM botstore_limit) AND typeof(new.user_id) = 'integer' BEGIN
    UPDATE botstore_spent SET
        cost = CAST(cost + (new.usage_id < 0) * max(0, min(9000000000000000, CAST(coalesce(new.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests + (new.usage_id < 0),
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.input_tokens, 0) AS INTEGER)))
                           + max(0, min(1000000000000, CAST(coalesce(new.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE scope = 'everyone' AND who = '' AND ends > new.at AND starts <= new.at;
    UPDATE botstore_spent SET
        cost = CAST(cost + (new.usage_id < 0) * max(0, min(9000000000000000, CAST(coalesce(new.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests + (new.usage_id < 0),
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.input_tokens, 0) AS INTEGER)))
                           + max(0, min(1000000000000, CAST(coalesce(new.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE scope = 'user' AND who = new.user_id AND ends > new.at AND starts <= new.at;
    UPDATE botstore_spent SET
        cost = CAST(cost + max(0, min(9000000000000000, CAST(coalesce(new.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests + 1,
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.input_tokens, 0) AS INTEGER)))
                           + max(0, min(1000000000000, CAST(coalesce(new.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE scope = 'chat' AND who = new.platform || '/' || new.chat_id AND ends > new.at AND starts <= new.at;
    UPDATE botstore_spent SET
        cost = CAST(cost + max(0, min(9000000000000000, CAST(coalesce(new.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests + 1,
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.input_tokens, 0) AS INTEGER)))
                           + max(0, min(1000000000000, CAST(coalesce(new.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE scope = 'model' AND who = new.request_model AND ends > new.at AND starts <= new.at;
    INSERT INTO botstore_spender (scope, who) VALUES ('user', new.user_id) ON CONFLICT DO NOTHING;
    INSERT INTO botstore_spender (scope, who)
    SELECT 'chat', new.platform || '/' || new.chat_id WHERE EXISTS (SELECT 1 FROM botstore_limit WHERE scope = 'chat' AND who = new.platform || '/' || new.chat_id)
    ON CONFLICT DO NOTHING;
    INSERT INTO botstore_spender (scope, who)
    SELECT 'model', new.request_model WHERE EXISTS (SELECT 1 FROM botstore_limit WHERE scope = 'model' AND who = new.request_model)
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER botstore_usage_unspent AFTER DELETE ON botstore_usage
WHEN EXISTS (SELECT 1 FROM botstore_limit) BEGIN
    UPDATE botstore_spent SET
        cost = CAST(cost - (old.usage_id < 0) * max(0, min(9000000000000000, CAST(coalesce(old.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests - (old.usage_id < 0),
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.input_tokens, 0) AS INTEGER)))
                           - max(0, min(1000000000000, CAST(coalesce(old.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE typeof(old.user_id) = 'integer' AND scope = 'everyone' AND who = '' AND ends > old.at AND starts <= old.at;
    UPDATE botstore_spent SET
        cost = CAST(cost - (old.usage_id < 0) * max(0, min(9000000000000000, CAST(coalesce(old.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests - (old.usage_id < 0),
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.input_tokens, 0) AS INTEGER)))
                           - max(0, min(1000000000000, CAST(coalesce(old.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE typeof(old.user_id) = 'integer' AND scope = 'user' AND who = old.user_id AND ends > old.at AND starts <= old.at;
    UPDATE botstore_spent SET
        cost = CAST(cost - max(0, min(9000000000000000, CAST(coalesce(old.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests - 1,
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.input_tokens, 0) AS INTEGER)))
                           - max(0, min(1000000000000, CAST(coalesce(old.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE typeof(old.user_id) = 'integer' AND scope = 'chat' AND who = old.platform || '/' || old.chat_id AND ends > old.at AND starts <= old.at;
    UPDATE botstore_spent SET
        cost = CAST(cost - max(0, min(9000000000000000, CAST(coalesce(old.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests - 1,
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.input_tokens, 0) AS INTEGER)))
                           - max(0, min(1000000000000, CAST(coalesce(old.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE typeof(old.user_id) = 'integer' AND scope = 'model' AND who = old.request_model AND ends > old.at AND starts <= old.at;
END;

CREATE TRIGGER botstore_usage_respent AFTER UPDATE ON botstore_usage
WHEN EXISTS (SELECT 1 FROM botstore_limit)
  AND (old.usage_id IS NOT new.usage_id
    OR old.user_id IS NOT new.user_id
    OR old.at IS NOT new.at
    OR old.request_model IS NOT new.request_model
    OR old.input_tokens IS NOT new.input_tokens
    OR old.output_tokens IS NOT new.output_tokens
    OR old.cost_nanos IS NOT new.cost_nanos
    OR old.platform IS NOT new.platform
    OR old.chat_id IS NOT new.chat_id) BEGIN
    UPDATE botstore_spent SET
        cost = CAST(cost - (old.usage_id < 0) * max(0, min(9000000000000000, CAST(coalesce(old.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests - (old.usage_id < 0),
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.input_tokens, 0) AS INTEGER)))
                           - max(0, min(1000000000000, CAST(coalesce(old.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE typeof(old.user_id) = 'integer' AND scope = 'everyone' AND who = '' AND ends > old.at AND starts <= old.at;
    UPDATE botstore_spent SET
        cost = CAST(cost - (old.usage_id < 0) * max(0, min(9000000000000000, CAST(coalesce(old.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests - (old.usage_id < 0),
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.input_tokens, 0) AS INTEGER)))
                           - max(0, min(1000000000000, CAST(coalesce(old.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE typeof(old.user_id) = 'integer' AND scope = 'user' AND who = old.user_id AND ends > old.at AND starts <= old.at;
    UPDATE botstore_spent SET
        cost = CAST(cost - max(0, min(9000000000000000, CAST(coalesce(old.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests - 1,
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.input_tokens, 0) AS INTEGER)))
                           - max(0, min(1000000000000, CAST(coalesce(old.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE typeof(old.user_id) = 'integer' AND scope = 'chat' AND who = old.platform || '/' || old.chat_id AND ends > old.at AND starts <= old.at;
    UPDATE botstore_spent SET
        cost = CAST(cost - max(0, min(9000000000000000, CAST(coalesce(old.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests - 1,
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.input_tokens, 0) AS INTEGER)))
                           - max(0, min(1000000000000, CAST(coalesce(old.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE typeof(old.user_id) = 'integer' AND scope = 'model' AND who = old.request_model AND ends > old.at AND starts <= old.at;
    UPDATE botstore_spent SET
        cost = CAST(cost + (new.usage_id < 0) * max(0, min(9000000000000000, CAST(coalesce(new.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests + (new.usage_id < 0),
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.input_tokens, 0) AS INTEGER)))
                           + max(0, min(1000000000000, CAST(coalesce(new.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE typeof(new.user_id) = 'integer' AND scope = 'everyone' AND who = '' AND ends > new.at AND starts <= new.at;
    UPDATE botstore_spent SET
        cost = CAST(cost + (new.usage_id < 0) * max(0, min(9000000000000000, CAST(coalesce(new.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests + (new.usage_id < 0),
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.input_tokens, 0) AS INTEGER)))
                           + max(0, min(1000000000000, CAST(coalesce(new.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE typeof(new.user_id) = 'integer' AND scope = 'user' AND who = new.user_id AND ends > new.at AND starts <= new.at;
    UPDATE botstore_spent SET
        cost = CAST(cost + max(0, min(9000000000000000, CAST(coalesce(new.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests + 1,
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.input_tokens, 0) AS INTEGER)))
                           + max(0, min(1000000000000, CAST(coalesce(new.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE typeof(new.user_id) = 'integer' AND scope = 'chat' AND who = new.platform || '/' || new.chat_id AND ends > new.at AND starts <= new.at;
    UPDATE botstore_spent SET
        cost = CAST(cost + max(0, min(9000000000000000, CAST(coalesce(new.cost_nanos, 0) AS INTEGER))) AS INTEGER),
        requests = requests + 1,
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.input_tokens, 0) AS INTEGER)))
                           + max(0, min(1000000000000, CAST(coalesce(new.output_tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE typeof(new.user_id) = 'integer' AND scope = 'model' AND who = new.request_model AND ends > new.at AND starts <= new.at;
    INSERT INTO botstore_spender (scope, who)
    SELECT 'user', new.user_id WHERE typeof(new.user_id) = 'integer'
    ON CONFLICT DO NOTHING;
    INSERT INTO botstore_spender (scope, who)
    SELECT 'chat', new.platform || '/' || new.chat_id WHERE EXISTS (SELECT 1 FROM botstore_limit WHERE scope = 'chat' AND who = new.platform || '/' || new.chat_id)
    ON CONFLICT DO NOTHING;
    INSERT INTO botstore_spender (scope, who)
    SELECT 'model', new.request_model WHERE EXISTS (SELECT 1 FROM botstore_limit WHERE scope = 'model' AND who = new.request_model)
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER botstore_reservation_made AFTER INSERT ON botstore_reservation
WHEN new.state = 'open' BEGIN
    UPDATE botstore_spent SET
        cost = CAST(cost + max(0, min(9000000000000000, CAST(coalesce(new.cost, 0) AS INTEGER))) AS INTEGER), requests = requests + 1,
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE scope = 'everyone' AND who = '' AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost + max(0, min(9000000000000000, CAST(coalesce(new.cost, 0) AS INTEGER))) AS INTEGER), requests = requests + 1,
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE scope = 'user' AND who = new.user_id AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost + max(0, min(9000000000000000, CAST(coalesce(new.cost, 0) AS INTEGER))) AS INTEGER), requests = requests + 1,
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE new.chat IS NOT NULL AND scope = 'chat' AND who = new.chat AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost + max(0, min(9000000000000000, CAST(coalesce(new.cost, 0) AS INTEGER))) AS INTEGER), requests = requests + 1,
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE new.model IS NOT NULL AND scope = 'model' AND who = new.model AND ends = '' AND per = 'open';
END;

CREATE TRIGGER botstore_reservation_over AFTER UPDATE OF state ON botstore_reservation
WHEN (old.state IS 'open') <> (new.state IS 'open') BEGIN
    UPDATE botstore_spent SET
        cost = CAST(cost + CASE WHEN new.state IS 'open' THEN max(0, min(9000000000000000, CAST(coalesce(new.cost, 0) AS INTEGER))) ELSE -max(0, min(9000000000000000, CAST(coalesce(old.cost, 0) AS INTEGER))) END AS INTEGER), requests = requests + CASE WHEN new.state IS 'open' THEN 1 ELSE -1 END,
        tokens = CAST(tokens + CASE WHEN new.state IS 'open' THEN max(0, min(1000000000000, CAST(coalesce(new.tokens, 0) AS INTEGER))) ELSE -max(0, min(1000000000000, CAST(coalesce(old.tokens, 0) AS INTEGER))) END AS INTEGER)
    WHERE scope = 'everyone' AND who = '' AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost + CASE WHEN new.state IS 'open' THEN max(0, min(9000000000000000, CAST(coalesce(new.cost, 0) AS INTEGER))) ELSE -max(0, min(9000000000000000, CAST(coalesce(old.cost, 0) AS INTEGER))) END AS INTEGER), requests = requests + CASE WHEN new.state IS 'open' THEN 1 ELSE -1 END,
        tokens = CAST(tokens + CASE WHEN new.state IS 'open' THEN max(0, min(1000000000000, CAST(coalesce(new.tokens, 0) AS INTEGER))) ELSE -max(0, min(1000000000000, CAST(coalesce(old.tokens, 0) AS INTEGER))) END AS INTEGER)
    WHERE scope = 'user' AND who = CASE WHEN new.state IS 'open' THEN new.user_id ELSE old.user_id END AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost + CASE WHEN new.state IS 'open' THEN max(0, min(9000000000000000, CAST(coalesce(new.cost, 0) AS INTEGER))) ELSE -max(0, min(9000000000000000, CAST(coalesce(old.cost, 0) AS INTEGER))) END AS INTEGER), requests = requests + CASE WHEN new.state IS 'open' THEN 1 ELSE -1 END,
        tokens = CAST(tokens + CASE WHEN new.state IS 'open' THEN max(0, min(1000000000000, CAST(coalesce(new.tokens, 0) AS INTEGER))) ELSE -max(0, min(1000000000000, CAST(coalesce(old.tokens, 0) AS INTEGER))) END AS INTEGER)
    WHERE CASE WHEN new.state IS 'open' THEN new.chat ELSE old.chat END IS NOT NULL AND scope = 'chat' AND who = CASE WHEN new.state IS 'open' THEN new.chat ELSE old.chat END AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost + CASE WHEN new.state IS 'open' THEN max(0, min(9000000000000000, CAST(coalesce(new.cost, 0) AS INTEGER))) ELSE -max(0, min(9000000000000000, CAST(coalesce(old.cost, 0) AS INTEGER))) END AS INTEGER), requests = requests + CASE WHEN new.state IS 'open' THEN 1 ELSE -1 END,
        tokens = CAST(tokens + CASE WHEN new.state IS 'open' THEN max(0, min(1000000000000, CAST(coalesce(new.tokens, 0) AS INTEGER))) ELSE -max(0, min(1000000000000, CAST(coalesce(old.tokens, 0) AS INTEGER))) END AS INTEGER)
    WHERE CASE WHEN new.state IS 'open' THEN new.model ELSE old.model END IS NOT NULL AND scope = 'model' AND who = CASE WHEN new.state IS 'open' THEN new.model ELSE old.model END AND ends = '' AND per = 'open';
END;

CREATE TRIGGER botstore_reservation_changed AFTER UPDATE OF user_id, chat, model, cost, tokens ON botstore_reservation
WHEN old.state = 'open' AND new.state = 'open' BEGIN
    UPDATE botstore_spent SET
        cost = CAST(cost - max(0, min(9000000000000000, CAST(coalesce(old.cost, 0) AS INTEGER))) AS INTEGER), requests = requests - 1,
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE scope = 'everyone' AND who = '' AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost - max(0, min(9000000000000000, CAST(coalesce(old.cost, 0) AS INTEGER))) AS INTEGER), requests = requests - 1,
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE scope = 'user' AND who = old.user_id AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost - max(0, min(9000000000000000, CAST(coalesce(old.cost, 0) AS INTEGER))) AS INTEGER), requests = requests - 1,
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE old.chat IS NOT NULL AND scope = 'chat' AND who = old.chat AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost - max(0, min(9000000000000000, CAST(coalesce(old.cost, 0) AS INTEGER))) AS INTEGER), requests = requests - 1,
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE old.model IS NOT NULL AND scope = 'model' AND who = old.model AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost + max(0, min(9000000000000000, CAST(coalesce(new.cost, 0) AS INTEGER))) AS INTEGER), requests = requests + 1,
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE scope = 'everyone' AND who = '' AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost + max(0, min(9000000000000000, CAST(coalesce(new.cost, 0) AS INTEGER))) AS INTEGER), requests = requests + 1,
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE scope = 'user' AND who = new.user_id AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost + max(0, min(9000000000000000, CAST(coalesce(new.cost, 0) AS INTEGER))) AS INTEGER), requests = requests + 1,
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE new.chat IS NOT NULL AND scope = 'chat' AND who = new.chat AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost + max(0, min(9000000000000000, CAST(coalesce(new.cost, 0) AS INTEGER))) AS INTEGER), requests = requests + 1,
        tokens = CAST(tokens + max(0, min(1000000000000, CAST(coalesce(new.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE new.model IS NOT NULL AND scope = 'model' AND who = new.model AND ends = '' AND per = 'open';
END;

CREATE TRIGGER botstore_reservation_gone AFTER DELETE ON botstore_reservation
WHEN old.state = 'open' BEGIN
    UPDATE botstore_spent SET
        cost = CAST(cost - max(0, min(9000000000000000, CAST(coalesce(old.cost, 0) AS INTEGER))) AS INTEGER), requests = requests - 1,
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE scope = 'everyone' AND who = '' AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost - max(0, min(9000000000000000, CAST(coalesce(old.cost, 0) AS INTEGER))) AS INTEGER), requests = requests - 1,
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE scope = 'user' AND who = old.user_id AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost - max(0, min(9000000000000000, CAST(coalesce(old.cost, 0) AS INTEGER))) AS INTEGER), requests = requests - 1,
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE old.chat IS NOT NULL AND scope = 'chat' AND who = old.chat AND ends = '' AND per = 'open';
    UPDATE botstore_spent SET
        cost = CAST(cost - max(0, min(9000000000000000, CAST(coalesce(old.cost, 0) AS INTEGER))) AS INTEGER), requests = requests - 1,
        tokens = CAST(tokens - max(0, min(1000000000000, CAST(coalesce(old.tokens, 0) AS INTEGER))) AS INTEGER)
    WHERE old.model IS NOT NULL AND scope = 'model' AND who = old.model AND ends = '' AND per = 'open';
END;

CREATE TRIGGER botstore_limit_added AFTER INSERT ON botstore_limit BEGIN
    INSERT INTO botstore_spender (scope, who)
    SELECT new.scope, new.who
    WHERE new.scope <> 'each_user'
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER botstore_limit_changed AFTER UPDATE ON botstore_limit BEGIN
    DELETE FROM botstore_limit_told
    WHERE scope = old.scope AND who = old.who AND measure = old.measure AND per = old.per;
    INSERT INTO botstore_spender (scope, who)
    SELECT new.scope, new.who
    WHERE new.scope <> 'each_user'
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER botstore_limit_removed AFTER DELETE ON botstore_limit BEGIN
    DELETE FROM botstore_limit_told
    WHERE scope = old.scope AND who = old.who AND measure = old.measure AND per = old.per;
    DELETE FROM botstore_spent WHERE NOT EXISTS (SELECT 1 FROM botstore_limit);
    DELETE FROM botstore_spender WHERE NOT EXISTS (SELECT 1 FROM botstore_limit);
END
