-- Limits of spending, and the counters by which they hold.
--
-- A counter (botstore_spent) is a function of the rows: what those of its period spend. It exists from the first
-- question about its period. From then on these triggers change it by what a row changes, whichever program changes
-- the row. So a counter may go at any time, and is counted again. A cost and a number of tokens count as they do in
-- the rollups (lazy_rollups of the schema botstore, llm_rollups of this one). No trigger ever refuses a row, and
-- without a limit each of them reads one empty table.

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

-- What is spent in a period, which ends before "ends", by everyone, by a user, in a chat, or on a model; and as the
-- period 'open' what open reservations hold. This table and the next have no constraints but their keys: SQLite keeps a
-- journal of each statement that one may undo, which takes as long as the statement.
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
-- Written when a period begins and when it is swept.
CREATE INDEX botstore_spent_ends ON botstore_spent(ends);

-- What a request may cost, from before the model is asked until it is known. One that is over is remembered until two
-- days after it was made.
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
-- A time that is no number is long over: without that, one without a time would come first for ever, and hide all
-- others.
CREATE INDEX botstore_reservation_open ON botstore_reservation(CAST(coalesce(until, 0) AS INTEGER)) WHERE state = 'open';

-- Who has spent something since the store last looked whether a limit, or its warning, is reached.
CREATE TABLE botstore_spender (
    scope TEXT NOT NULL,
    who        NOT NULL,
    PRIMARY KEY (scope, who)
) WITHOUT ROWID;

-- In which period a limit, or its warning, was reached: 1 is to be told, 2 was told.
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

-- What rows change. Everybody's and users' spending is that of messages and of requests that are no messages, whose ids
-- are below 0; a chat's and a model's is that of requests whose usage is known. Tokens are those of usage. A row whose
-- user is no number counts nowhere, as in the rollups. Times are compared as texts, as the store spells them.
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

-- What open reservations hold: a cost and a number of tokens count as those of usage do. For a request the store changes
-- nothing but the state, what settled it, and the time: so only the first two of these run, one for each statement. A
-- subject that a reservation does not have is passed over before a table is opened.
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
-- What another program does to one that stays open.
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

-- A limit that is set is told of anew, and looked at although nobody spends.
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
-- Without a limit, rows change no counter.
CREATE TRIGGER botstore_limit_removed AFTER DELETE ON botstore_limit BEGIN
    DELETE FROM botstore_limit_told
    WHERE scope = old.scope AND who = old.who AND measure = old.measure AND per = old.per;
    DELETE FROM botstore_spent WHERE NOT EXISTS (SELECT 1 FROM botstore_limit);
    DELETE FROM botstore_spender WHERE NOT EXISTS (SELECT 1 FROM botstore_limit);
END;
