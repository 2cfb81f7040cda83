-- What a request to a model used: one row an interaction, beside its message.
--
-- Column names are those of OpenTelemetry's conventions for generative AI, where they have one
-- (https://opentelemetry.io/docs/specs/semconv/gen-ai/). What is not known is NULL, never 0.
--
-- Not a foreign key: a request that is no message, such as an image, has a row here, too.
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

-- Requests that are no messages. A message writes no page of these.
CREATE INDEX botstore_usage_other ON botstore_usage(at) WHERE usage_id < 0;
CREATE INDEX botstore_usage_other_user ON botstore_usage(user_id, at) WHERE usage_id < 0;

-- The row goes and changes with its message, whoever changes that. A cost that somebody corrects is no longer the
-- catalogue's.
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
