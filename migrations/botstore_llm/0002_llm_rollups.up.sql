-- What requests used, added up by day, model, user and chat.
--
-- In the same way as the rollups of messages (step lazy_rollups of the schema botstore): these tables are a function
-- of the rows whose ids are at most "last_id" in botstore_usage_counted. The rows after it wait; answers add them. A
-- row that is counted already, and goes or changes, is counted by these triggers at once, whichever program changes
-- it. So is a request that is no message: its id is below 0, where everything is counted once anything is.
--
-- A day is that of the file's zone, '' if the time is none; a provider, a model or a chat that is not known is ''.
-- What is not known adds nothing. Costs are in billionths of a dollar, at most 9 million dollars each; numbers of
-- tokens are at most 10^12 each. A row whose user is no number is counted nowhere. No trigger ever refuses a row.
--
-- Opening counts what waits. This step only makes the tables.

-- How far rows are counted; and whether all were counted once, which is so at the largest number.
CREATE TABLE botstore_usage_counted (
    source     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    last_id    INTEGER NOT NULL,
    PRIMARY KEY (source, generation)
) WITHOUT ROWID;
INSERT INTO botstore_usage_counted
    SELECT 'botstore_usage', generation, -9223372036854775808 FROM botstore_total;
INSERT INTO botstore_usage_counted
    SELECT 'once', 0, CASE WHEN EXISTS (SELECT 1 FROM botstore_usage)
           THEN -9223372036854775808 ELSE 9223372036854775807 END;

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

-- The day comes before the user in these keys, so that what is new is written side by side.
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

-- Requests whose chat is known: the platform and the chat's id, with a slash between.
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

-- Requests that are no messages.
CREATE TABLE botstore_other_day (
    generation INTEGER NOT NULL,
    day        TEXT    NOT NULL,
    user_id    INTEGER NOT NULL,
    requests   INTEGER NOT NULL,
    cost       INTEGER NOT NULL,
    PRIMARY KEY (generation, day, user_id)
) WITHOUT ROWID;
CREATE INDEX botstore_other_day_user ON botstore_other_day(generation, user_id, day);

-- What is inserted here is added to the tables, and not kept: it is always empty. One row may stand for many requests;
-- one whose counts are negative takes them away.
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

-- The rows that are counted, whoever changes them. Not "UPDATE OF": a row's id may also be set as "rowid".
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
