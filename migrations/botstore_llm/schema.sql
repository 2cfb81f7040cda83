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
    reply_to                    TEXT
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
    UPDATE OR REPLACE botstore_usage SET
        usage_id = new.message_id, user_id = new.user_id, at = new.timestamp,
        cost_nanos = CASE WHEN old.cost IS new.cost THEN cost_nanos ELSE
            CAST(round(1e9 * CASE WHEN 0.0 + new.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + new.cost WHEN 0.0 + new.cost > 9e6 AND 0.0 + new.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER) END,
        cost_source = CASE WHEN old.cost IS new.cost THEN cost_source ELSE 'provider' END
    WHERE usage_id = old.message_id;
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
) WITHOUT ROWID
