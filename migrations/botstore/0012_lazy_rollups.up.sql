-- Rollups up to a row.
--
-- The tables of counts are a function of the rows whose ids are at most "last_id" in botstore_counted. The rows
-- after it wait to be counted: the store counts some hundred of them at once, and its answers add those that still
-- wait. So a message writes no page of counts. A row that is counted already, and goes or changes, is counted by
-- these triggers at once, whichever program changes it.
--
-- Money is in whole billionths of a dollar, so that sums are exact in any order. One cost counts from 0 to 9
-- million dollars, one duration and one number of requests up to 10^12; a number that is none counts as 0. So no
-- sum outgrows its integer, unless somebody writes thousands of such costs; then it stays at the largest. No
-- trigger ever refuses a row.
--
-- What has days in the bot's time zone has a generation, which is counted by one zone. Answers come from the smallest
-- one in botstore_total. If there is another, it is being counted by another zone, and takes the place of the first
-- when it covers the same rows. Until then triggers count a row for both. What has no such day is of generation 0.
--
-- Opening counts what waits. This step only makes the tables.

-- What of step 7 to 10 counts.
DROP TRIGGER botstore_message_added;
DROP TRIGGER botstore_message_removed;
DROP TRIGGER botstore_message_changed;
DROP TRIGGER botstore_user_added;
DROP TRIGGER botstore_user_removed;
DROP TRIGGER botstore_user_day_added;
DROP TRIGGER botstore_user_day_removed;
DROP TRIGGER botstore_session_day_added;
DROP TRIGGER botstore_session_day_removed;
DROP TRIGGER botstore_tool_added;
DROP TRIGGER botstore_tool_removed;
DROP TRIGGER botstore_tool_changed;
DROP TRIGGER botstore_session_tool_added;
DROP TRIGGER botstore_session_tool_removed;
DROP TRIGGER botstore_session_added;
DROP TRIGGER botstore_session_removed;
DROP TRIGGER botstore_session_moved;
DROP TRIGGER botstore_cost_added;
DROP TRIGGER botstore_cost_removed;
DROP TRIGGER botstore_cost_changed;
DROP TRIGGER botstore_cost_moved;
DROP TABLE botstore_day;
DROP TABLE botstore_user_total;
DROP TABLE botstore_user_day;
DROP TABLE botstore_session_day;
DROP TABLE botstore_tool;
DROP TABLE botstore_session_tool;
DROP TABLE botstore_user_tool;
DROP TABLE botstore_cost_day;

-- How far each table is counted. At first nothing is. Costs are counted to the last row, after everything else has
-- been counted once: then the largest number is there.
CREATE TABLE botstore_counted (
    source     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    last_id    INTEGER NOT NULL,
    PRIMARY KEY (source, generation)
) WITHOUT ROWID;
INSERT INTO botstore_counted VALUES
    ('messages', 0, -9223372036854775808),
    ('tool_usage', 0, -9223372036854775808);
INSERT INTO botstore_counted SELECT 'cost_tracking', 0, CASE
    WHEN EXISTS (SELECT 1 FROM messages) OR EXISTS (SELECT 1 FROM tool_usage) OR EXISTS (SELECT 1 FROM cost_tracking)
    THEN -9223372036854775808 ELSE 9223372036854775807 END;

-- How far the bot's clock is ahead of UTC, from a time in UTC on: days are those of that clock. Each row names the
-- zone: as the IANA database does, or by an offset that never changes.
CREATE TABLE botstore_zone (
    generation     INTEGER NOT NULL,
    since          TEXT    NOT NULL,
    offset_seconds INTEGER NOT NULL,
    zone           TEXT    NOT NULL,
    PRIMARY KEY (generation, since)
) WITHOUT ROWID;
INSERT INTO botstore_zone
    SELECT 0, '0000-01-01 00:00:00', minutes * 60, CASE minutes WHEN 0 THEN 'UTC'
           ELSE substr('-+', 1 + (minutes > 0), 1) || printf('%02d:%02d', abs(minutes) / 60, abs(minutes) % 60) END
    FROM (SELECT coalesce(CAST(max(day_offset) AS INTEGER), 0) AS minutes FROM botstore_total);

DROP TABLE botstore_total;
-- A generation that has no row here is none: what is left of it is deleted.
CREATE TABLE botstore_total (
    generation INTEGER PRIMARY KEY,
    users      INTEGER NOT NULL, -- with a message
    sessions   INTEGER NOT NULL, -- with a message
    repairs    INTEGER NOT NULL  -- so that two repairs do not both mend the same
);
INSERT INTO botstore_total VALUES (0, 0, 0, 0);

CREATE TABLE botstore_day (
    generation  INTEGER NOT NULL,
    day         TEXT    NOT NULL,
    users       INTEGER NOT NULL,
    messages    INTEGER NOT NULL,
    errors      INTEGER NOT NULL,
    timed       INTEGER NOT NULL, -- messages whose duration is known
    duration_ms INTEGER NOT NULL, -- the sum of those
    cost        INTEGER NOT NULL,
    PRIMARY KEY (generation, day)
) WITHOUT ROWID;

CREATE TABLE botstore_user_total (
    generation INTEGER NOT NULL,
    user_id    INTEGER NOT NULL,
    sessions   INTEGER NOT NULL,
    messages   INTEGER NOT NULL,
    cost       INTEGER NOT NULL,
    last_day   TEXT    NOT NULL,
    PRIMARY KEY (generation, user_id)
) WITHOUT ROWID;
CREATE INDEX botstore_user_total_cost ON botstore_user_total(generation, cost DESC);
CREATE INDEX botstore_user_total_day ON botstore_user_total(generation, last_day);

-- The day comes before the user in these keys, so that what is new is written side by side.
CREATE TABLE botstore_user_day (
    generation  INTEGER NOT NULL,
    day         TEXT    NOT NULL,
    user_id     INTEGER NOT NULL,
    sessions    INTEGER NOT NULL,
    messages    INTEGER NOT NULL,
    errors      INTEGER NOT NULL,
    timed       INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    cost        INTEGER NOT NULL,
    PRIMARY KEY (generation, day, user_id)
) WITHOUT ROWID;
-- Written once for each day of a user.
CREATE INDEX botstore_user_day_user ON botstore_user_day(generation, user_id, day);

CREATE TABLE botstore_session_day (
    generation INTEGER NOT NULL,
    day        TEXT    NOT NULL,
    user_id    INTEGER NOT NULL,
    session_id TEXT    NOT NULL,
    messages   INTEGER NOT NULL,
    PRIMARY KEY (generation, day, user_id, session_id)
) WITHOUT ROWID;

-- Written once for each day of a session.
CREATE TABLE botstore_session_user (
    generation INTEGER NOT NULL,
    session_id TEXT    NOT NULL,
    user_id    INTEGER NOT NULL,
    days       INTEGER NOT NULL, -- with a message
    PRIMARY KEY (generation, session_id, user_id)
) WITHOUT ROWID;

CREATE TABLE botstore_tool (
    tool_name TEXT    NOT NULL PRIMARY KEY,
    uses      INTEGER NOT NULL,
    successes INTEGER NOT NULL,
    errors    INTEGER NOT NULL,
    sessions  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE botstore_session_tool (
    session_id TEXT    NOT NULL,
    tool_name  TEXT    NOT NULL,
    uses       INTEGER NOT NULL,
    PRIMARY KEY (session_id, tool_name)
) WITHOUT ROWID;

CREATE TABLE botstore_user_tool (
    user_id   INTEGER NOT NULL,
    tool_name TEXT    NOT NULL,
    uses      INTEGER NOT NULL,
    PRIMARY KEY (user_id, tool_name)
) WITHOUT ROWID;

-- By the days in cost_tracking, whose rows are counted to the last: the row of today is changed all the time.
CREATE TABLE botstore_cost_day (
    day      TEXT    NOT NULL PRIMARY KEY,
    users    INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    cost     INTEGER NOT NULL
) WITHOUT ROWID;

-- What is inserted into these three is added to the tables, and not kept here: they are always empty. One row may
-- stand for many messages of a session, a user and a day; one whose counts are negative takes them away. Not views: where one comes first in SQLite's own list of tables,
-- its integrity check passes over what belongs to no table.
CREATE TABLE botstore_message_count (messages, generation, session_id, user_id, day, errors, timed, duration_ms, cost);
CREATE TABLE botstore_tool_count (uses, session_id, tool_name, successes, errors);
CREATE TABLE botstore_cost_count (users, day, requests, cost);

-- From the sums down to what they are sums of: who is new for a sum is told by what is not there yet below it.
-- A message whose owner is no number is counted nowhere.
CREATE TRIGGER botstore_messages_added BEFORE INSERT ON botstore_message_count
WHEN new.messages > 0 AND typeof(new.user_id) = 'integer' BEGIN
    UPDATE botstore_total SET
        users = users + NOT EXISTS (SELECT 1 FROM botstore_user_total u
            WHERE u.generation = new.generation AND u.user_id = new.user_id),
        sessions = sessions + NOT EXISTS (
            SELECT 1 FROM botstore_session_user s WHERE s.generation = new.generation
              AND s.session_id = new.session_id)
    WHERE generation = new.generation AND NOT EXISTS (
        SELECT 1 FROM botstore_session_user s WHERE s.generation = new.generation
          AND s.session_id = new.session_id AND s.user_id = new.user_id);
    INSERT INTO botstore_day (generation, day, users, messages, errors, timed, duration_ms, cost)
    VALUES (new.generation, new.day, NOT EXISTS (
                SELECT 1 FROM botstore_user_day d WHERE d.generation = new.generation AND d.day = new.day
                  AND d.user_id = new.user_id),
            new.messages, new.errors, new.timed, CAST(new.duration_ms AS INTEGER), CAST(new.cost AS INTEGER))
    ON CONFLICT (generation, day) DO UPDATE SET
        users = users + excluded.users, messages = messages + excluded.messages,
        errors = errors + excluded.errors, timed = timed + excluded.timed,
        duration_ms = CAST(duration_ms + excluded.duration_ms AS INTEGER),
        cost = CAST(cost + excluded.cost AS INTEGER);
    INSERT INTO botstore_user_total (generation, user_id, sessions, messages, cost, last_day)
    VALUES (new.generation, new.user_id, NOT EXISTS (
                SELECT 1 FROM botstore_session_user s
                WHERE s.generation = new.generation AND s.session_id = new.session_id AND s.user_id = new.user_id),
            new.messages, CAST(new.cost AS INTEGER), new.day)
    ON CONFLICT (generation, user_id) DO UPDATE SET
        sessions = sessions + excluded.sessions, messages = messages + excluded.messages,
        cost = CAST(cost + excluded.cost AS INTEGER), last_day = max(last_day, excluded.last_day);
    INSERT INTO botstore_user_day (generation, day, user_id, sessions, messages, errors, timed, duration_ms, cost)
    VALUES (new.generation, new.day, new.user_id, NOT EXISTS (
                SELECT 1 FROM botstore_session_day s
                WHERE s.generation = new.generation AND s.day = new.day AND s.user_id = new.user_id
                  AND s.session_id = new.session_id),
            new.messages, new.errors, new.timed, CAST(new.duration_ms AS INTEGER), CAST(new.cost AS INTEGER))
    ON CONFLICT (generation, day, user_id) DO UPDATE SET
        sessions = sessions + excluded.sessions, messages = messages + excluded.messages,
        errors = errors + excluded.errors, timed = timed + excluded.timed,
        duration_ms = CAST(duration_ms + excluded.duration_ms AS INTEGER),
        cost = CAST(cost + excluded.cost AS INTEGER);
    INSERT INTO botstore_session_user (generation, session_id, user_id, days)
    SELECT new.generation, new.session_id, new.user_id, 1 WHERE NOT EXISTS (
        SELECT 1 FROM botstore_session_day s
        WHERE s.generation = new.generation AND s.day = new.day AND s.user_id = new.user_id
          AND s.session_id = new.session_id)
    ON CONFLICT (generation, session_id, user_id) DO UPDATE SET days = days + 1;
    INSERT INTO botstore_session_day (generation, day, user_id, session_id, messages)
    VALUES (new.generation, new.day, new.user_id, new.session_id, new.messages)
    ON CONFLICT (generation, day, user_id, session_id) DO UPDATE SET messages = messages + excluded.messages;
    SELECT RAISE(IGNORE);
END;

-- And up again: what has no message left goes last, and the sums see by it who is gone.
CREATE TRIGGER botstore_messages_removed BEFORE INSERT ON botstore_message_count
WHEN new.messages < 0 AND typeof(new.user_id) = 'integer' BEGIN
    UPDATE botstore_session_day SET messages = messages + new.messages
    WHERE generation = new.generation AND day = new.day AND user_id = new.user_id AND session_id = new.session_id;
    UPDATE botstore_session_user SET days = days - 1
    WHERE generation = new.generation AND session_id = new.session_id AND user_id = new.user_id AND EXISTS (
        SELECT 1 FROM botstore_session_day s
        WHERE s.generation = new.generation AND s.day = new.day AND s.user_id = new.user_id
          AND s.session_id = new.session_id
          AND s.messages <= 0);
    UPDATE botstore_user_day SET
        sessions = sessions - EXISTS (
            SELECT 1 FROM botstore_session_day s
            WHERE s.generation = new.generation AND s.day = new.day AND s.user_id = new.user_id
              AND s.session_id = new.session_id
              AND s.messages <= 0),
        messages = messages + new.messages, errors = errors + new.errors, timed = timed + new.timed,
        duration_ms = CAST(duration_ms + new.duration_ms AS INTEGER), cost = CAST(cost + new.cost AS INTEGER)
    WHERE generation = new.generation AND day = new.day AND user_id = new.user_id;
    UPDATE botstore_user_total SET
        sessions = sessions - EXISTS (
            SELECT 1 FROM botstore_session_user s
            WHERE s.generation = new.generation AND s.session_id = new.session_id AND s.user_id = new.user_id
              AND s.days <= 0),
        messages = messages + new.messages, cost = CAST(cost + new.cost AS INTEGER)
    WHERE generation = new.generation AND user_id = new.user_id;
    UPDATE botstore_day SET
        users = users - EXISTS (
            SELECT 1 FROM botstore_user_day d
            WHERE d.generation = new.generation AND d.day = new.day AND d.user_id = new.user_id AND d.messages <= 0),
        messages = messages + new.messages, errors = errors + new.errors, timed = timed + new.timed,
        duration_ms = CAST(duration_ms + new.duration_ms AS INTEGER), cost = CAST(cost + new.cost AS INTEGER)
    WHERE generation = new.generation AND day = new.day;
    UPDATE botstore_total SET
        users = users - EXISTS (
            SELECT 1 FROM botstore_user_total u
            WHERE u.generation = new.generation AND u.user_id = new.user_id AND u.messages <= 0),
        sessions = sessions - NOT EXISTS (
            SELECT 1 FROM botstore_session_user s WHERE s.generation = new.generation
              AND s.session_id = new.session_id AND s.days > 0)
    WHERE generation = new.generation AND EXISTS (
        SELECT 1 FROM botstore_session_user s
        WHERE s.generation = new.generation AND s.session_id = new.session_id AND s.user_id = new.user_id
          AND s.days <= 0);
    DELETE FROM botstore_session_day
    WHERE generation = new.generation AND day = new.day AND user_id = new.user_id AND session_id = new.session_id
      AND messages <= 0;
    DELETE FROM botstore_session_user
    WHERE generation = new.generation AND session_id = new.session_id AND user_id = new.user_id AND days <= 0;
    DELETE FROM botstore_user_day
    WHERE generation = new.generation AND day = new.day AND user_id = new.user_id AND messages <= 0;
    DELETE FROM botstore_user_total
    WHERE generation = new.generation AND user_id = new.user_id AND messages <= 0;
    UPDATE botstore_user_total
    SET last_day = coalesce((SELECT max(d.day) FROM botstore_user_day d
        WHERE d.generation = new.generation AND d.user_id = new.user_id), '')
    WHERE generation = new.generation AND user_id = new.user_id AND last_day = new.day;
    DELETE FROM botstore_day WHERE generation = new.generation AND day = new.day AND messages <= 0;
    SELECT RAISE(IGNORE);
END;

-- A tool use counts for the session's owner, whoever used the tool.
CREATE TRIGGER botstore_tools_added BEFORE INSERT ON botstore_tool_count
WHEN new.uses > 0 BEGIN
    INSERT INTO botstore_tool (tool_name, uses, successes, errors, sessions)
    VALUES (new.tool_name, new.uses, new.successes, new.errors, NOT EXISTS (
                SELECT 1 FROM botstore_session_tool s
                WHERE s.session_id = new.session_id AND s.tool_name = new.tool_name))
    ON CONFLICT (tool_name) DO UPDATE SET
        uses = uses + excluded.uses, successes = successes + excluded.successes,
        errors = errors + excluded.errors, sessions = sessions + excluded.sessions;
    INSERT INTO botstore_session_tool (session_id, tool_name, uses)
    VALUES (new.session_id, new.tool_name, new.uses)
    ON CONFLICT (session_id, tool_name) DO UPDATE SET uses = uses + excluded.uses;
    INSERT INTO botstore_user_tool (user_id, tool_name, uses)
    SELECT user_id, new.tool_name, new.uses FROM sessions WHERE session_id = new.session_id
    ON CONFLICT (user_id, tool_name) DO UPDATE SET uses = uses + excluded.uses;
    SELECT RAISE(IGNORE);
END;
CREATE TRIGGER botstore_tools_removed BEFORE INSERT ON botstore_tool_count
WHEN new.uses < 0 BEGIN
    UPDATE botstore_session_tool SET uses = uses + new.uses
    WHERE session_id = new.session_id AND tool_name = new.tool_name;
    UPDATE botstore_tool SET
        uses = uses + new.uses, successes = successes + new.successes, errors = errors + new.errors,
        sessions = sessions - EXISTS (
            SELECT 1 FROM botstore_session_tool s
            WHERE s.session_id = new.session_id AND s.tool_name = new.tool_name AND s.uses <= 0)
    WHERE tool_name = new.tool_name;
    UPDATE botstore_user_tool SET uses = uses + new.uses
    WHERE tool_name = new.tool_name
      AND user_id = (SELECT s.user_id FROM sessions s WHERE s.session_id = new.session_id);
    DELETE FROM botstore_user_tool
    WHERE tool_name = new.tool_name AND uses <= 0
      AND user_id = (SELECT s.user_id FROM sessions s WHERE s.session_id = new.session_id);
    DELETE FROM botstore_session_tool
    WHERE session_id = new.session_id AND tool_name = new.tool_name AND uses <= 0;
    DELETE FROM botstore_tool WHERE tool_name = new.tool_name AND uses <= 0;
    SELECT RAISE(IGNORE);
END;

CREATE TRIGGER botstore_costs_added BEFORE INSERT ON botstore_cost_count
WHEN new.users > 0 BEGIN
    INSERT INTO botstore_cost_day (day, users, requests, cost)
    VALUES (new.day, new.users, CAST(new.requests AS INTEGER), CAST(new.cost AS INTEGER))
    ON CONFLICT (day) DO UPDATE SET
        users = users + excluded.users, requests = CAST(requests + excluded.requests AS INTEGER),
        cost = CAST(cost + excluded.cost AS INTEGER);
    SELECT RAISE(IGNORE);
END;
CREATE TRIGGER botstore_costs_removed BEFORE INSERT ON botstore_cost_count
WHEN new.users < 0 BEGIN
    UPDATE botstore_cost_day SET
        users = users + new.users, requests = CAST(requests + new.requests AS INTEGER),
        cost = CAST(cost + new.cost AS INTEGER)
    WHERE day = new.day;
    DELETE FROM botstore_cost_day WHERE day = new.day AND users <= 0;
    SELECT RAISE(IGNORE);
END;

-- The rows that are counted, whoever changes them. Not "UPDATE OF": a row's id may also be set as "rowid".
CREATE TRIGGER botstore_message_added AFTER INSERT ON messages
WHEN EXISTS (SELECT 1 FROM botstore_counted WHERE source = 'messages' AND last_id >= new.message_id) BEGIN
    INSERT INTO botstore_message_count (messages, generation, session_id, user_id, day, errors, timed, duration_ms, cost)
    SELECT 1, c.generation, coalesce(new.session_id, ''), new.user_id,
        coalesce(date(datetime(substr(new.timestamp, 1, 19)), coalesce((SELECT offset_seconds FROM botstore_zone WHERE generation = c.generation AND since <= datetime(substr(new.timestamp, 1, 19)) ORDER BY since DESC LIMIT 1), 0) || ' seconds'), ''),
        (new.error IS NOT NULL), (new.duration_ms IS NOT NULL),
        max(0, min(1000000000000, CAST(coalesce(new.duration_ms, 0) AS INTEGER))),
        CAST(round(1e9 * CASE WHEN 0.0 + new.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + new.cost WHEN 0.0 + new.cost > 9e6 AND 0.0 + new.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER)
    FROM botstore_counted c WHERE c.source = 'messages' AND c.last_id >= new.message_id;
END;
CREATE TRIGGER botstore_message_removed AFTER DELETE ON messages
WHEN EXISTS (SELECT 1 FROM botstore_counted WHERE source = 'messages' AND last_id >= old.message_id) BEGIN
    INSERT INTO botstore_message_count (messages, generation, session_id, user_id, day, errors, timed, duration_ms, cost)
    SELECT -1, c.generation, coalesce(old.session_id, ''), old.user_id,
        coalesce(date(datetime(substr(old.timestamp, 1, 19)), coalesce((SELECT offset_seconds FROM botstore_zone WHERE generation = c.generation AND since <= datetime(substr(old.timestamp, 1, 19)) ORDER BY since DESC LIMIT 1), 0) || ' seconds'), ''),
        -(old.error IS NOT NULL), -(old.duration_ms IS NOT NULL),
        -max(0, min(1000000000000, CAST(coalesce(old.duration_ms, 0) AS INTEGER))),
        -CAST(round(1e9 * CASE WHEN 0.0 + old.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + old.cost WHEN 0.0 + old.cost > 9e6 AND 0.0 + old.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER)
    FROM botstore_counted c WHERE c.source = 'messages' AND c.last_id >= old.message_id;
END;
CREATE TRIGGER botstore_message_changed AFTER UPDATE ON messages
WHEN EXISTS (SELECT 1 FROM botstore_counted WHERE source = 'messages' AND last_id >= min(old.message_id, new.message_id))
  AND (old.message_id IS NOT new.message_id
    OR old.session_id IS NOT new.session_id
    OR old.user_id IS NOT new.user_id
    OR old.timestamp IS NOT new.timestamp
    OR old.cost IS NOT new.cost
    OR old.duration_ms IS NOT new.duration_ms
    OR old.error IS NOT new.error) BEGIN
    INSERT INTO botstore_message_count (messages, generation, session_id, user_id, day, errors, timed, duration_ms, cost)
    SELECT 1, c.generation, coalesce(new.session_id, ''), new.user_id,
        coalesce(date(datetime(substr(new.timestamp, 1, 19)), coalesce((SELECT offset_seconds FROM botstore_zone WHERE generation = c.generation AND since <= datetime(substr(new.timestamp, 1, 19)) ORDER BY since DESC LIMIT 1), 0) || ' seconds'), ''),
        (new.error IS NOT NULL), (new.duration_ms IS NOT NULL),
        max(0, min(1000000000000, CAST(coalesce(new.duration_ms, 0) AS INTEGER))),
        CAST(round(1e9 * CASE WHEN 0.0 + new.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + new.cost WHEN 0.0 + new.cost > 9e6 AND 0.0 + new.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER)
    FROM botstore_counted c WHERE c.source = 'messages' AND c.last_id >= new.message_id;
    INSERT INTO botstore_message_count (messages, generation, session_id, user_id, day, errors, timed, duration_ms, cost)
    SELECT -1, c.generation, coalesce(old.session_id, ''), old.user_id,
        coalesce(date(datetime(substr(old.timestamp, 1, 19)), coalesce((SELECT offset_seconds FROM botstore_zone WHERE generation = c.generation AND since <= datetime(substr(old.timestamp, 1, 19)) ORDER BY since DESC LIMIT 1), 0) || ' seconds'), ''),
        -(old.error IS NOT NULL), -(old.duration_ms IS NOT NULL),
        -max(0, min(1000000000000, CAST(coalesce(old.duration_ms, 0) AS INTEGER))),
        -CAST(round(1e9 * CASE WHEN 0.0 + old.cost BETWEEN 0.0 AND 9e6 THEN 0.0 + old.cost WHEN 0.0 + old.cost > 9e6 AND 0.0 + old.cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER)
    FROM botstore_counted c WHERE c.source = 'messages' AND c.last_id >= old.message_id;
END;

CREATE TRIGGER botstore_tool_added AFTER INSERT ON tool_usage
WHEN new.id <= (SELECT last_id FROM botstore_counted WHERE source = 'tool_usage') BEGIN
    INSERT INTO botstore_tool_count (uses, session_id, tool_name, successes, errors)
    SELECT 1, coalesce(new.session_id, ''), coalesce(new.tool_name, ''), coalesce(new.success = 1, 0), coalesce(new.success = 0, 0);
END;
CREATE TRIGGER botstore_tool_removed AFTER DELETE ON tool_usage
WHEN old.id <= (SELECT last_id FROM botstore_counted WHERE source = 'tool_usage') BEGIN
    INSERT INTO botstore_tool_count (uses, session_id, tool_name, successes, errors)
    SELECT -1, coalesce(old.session_id, ''), coalesce(old.tool_name, ''), -coalesce(old.success = 1, 0), -coalesce(old.success = 0, 0);
END;
CREATE TRIGGER botstore_tool_changed AFTER UPDATE ON tool_usage
WHEN min(old.id, new.id) <= (SELECT last_id FROM botstore_counted WHERE source = 'tool_usage')
  AND (old.id IS NOT new.id
    OR old.session_id IS NOT new.session_id
    OR old.tool_name IS NOT new.tool_name
    OR old.success IS NOT new.success) BEGIN
    INSERT INTO botstore_tool_count (uses, session_id, tool_name, successes, errors)
    SELECT 1, coalesce(new.session_id, ''), coalesce(new.tool_name, ''), coalesce(new.success = 1, 0), coalesce(new.success = 0, 0)
    WHERE new.id <= (SELECT last_id FROM botstore_counted WHERE source = 'tool_usage');
    INSERT INTO botstore_tool_count (uses, session_id, tool_name, successes, errors)
    SELECT -1, coalesce(old.session_id, ''), coalesce(old.tool_name, ''), -coalesce(old.success = 1, 0), -coalesce(old.success = 0, 0)
    WHERE old.id <= (SELECT last_id FROM botstore_counted WHERE source = 'tool_usage');
END;

CREATE TRIGGER botstore_cost_added AFTER INSERT ON cost_tracking
WHEN new.id <= (SELECT last_id FROM botstore_counted WHERE source = 'cost_tracking') BEGIN
    INSERT INTO botstore_cost_count (users, day, requests, cost)
    SELECT 1, CAST(coalesce(new.date, '') AS TEXT), max(0, min(1000000000000, CAST(coalesce(new.request_count, 0) AS INTEGER))),
        CAST(round(1e9 * CASE WHEN 0.0 + new.daily_cost BETWEEN 0.0 AND 9e6 THEN 0.0 + new.daily_cost WHEN 0.0 + new.daily_cost > 9e6 AND 0.0 + new.daily_cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER);
END;
CREATE TRIGGER botstore_cost_removed AFTER DELETE ON cost_tracking
WHEN old.id <= (SELECT last_id FROM botstore_counted WHERE source = 'cost_tracking') BEGIN
    INSERT INTO botstore_cost_count (users, day, requests, cost)
    SELECT -1, CAST(coalesce(old.date, '') AS TEXT), -max(0, min(1000000000000, CAST(coalesce(old.request_count, 0) AS INTEGER))),
        -CAST(round(1e9 * CASE WHEN 0.0 + old.daily_cost BETWEEN 0.0 AND 9e6 THEN 0.0 + old.daily_cost WHEN 0.0 + old.daily_cost > 9e6 AND 0.0 + old.daily_cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER);
END;
CREATE TRIGGER botstore_cost_changed AFTER UPDATE ON cost_tracking
WHEN (old.id IS NOT new.id OR old.date IS NOT new.date)
  AND min(old.id, new.id) <= (SELECT last_id FROM botstore_counted WHERE source = 'cost_tracking') BEGIN
    INSERT INTO botstore_cost_count (users, day, requests, cost)
    SELECT 1, CAST(coalesce(new.date, '') AS TEXT), max(0, min(1000000000000, CAST(coalesce(new.request_count, 0) AS INTEGER))),
        CAST(round(1e9 * CASE WHEN 0.0 + new.daily_cost BETWEEN 0.0 AND 9e6 THEN 0.0 + new.daily_cost WHEN 0.0 + new.daily_cost > 9e6 AND 0.0 + new.daily_cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER)
    WHERE new.id <= (SELECT last_id FROM botstore_counted WHERE source = 'cost_tracking');
    INSERT INTO botstore_cost_count (users, day, requests, cost)
    SELECT -1, CAST(coalesce(old.date, '') AS TEXT), -max(0, min(1000000000000, CAST(coalesce(old.request_count, 0) AS INTEGER))),
        -CAST(round(1e9 * CASE WHEN 0.0 + old.daily_cost BETWEEN 0.0 AND 9e6 THEN 0.0 + old.daily_cost WHEN 0.0 + old.daily_cost > 9e6 AND 0.0 + old.daily_cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER)
    WHERE old.id <= (SELECT last_id FROM botstore_counted WHERE source = 'cost_tracking');
END;
-- Each message changes the row of its user's day, and nothing but its sums: so the difference goes straight into the
-- sums of the day.
CREATE TRIGGER botstore_cost_grown AFTER UPDATE ON cost_tracking
WHEN old.id IS new.id AND old.date IS new.date
  AND (old.daily_cost IS NOT new.daily_cost OR old.request_count IS NOT new.request_count)
  AND new.id <= (SELECT last_id FROM botstore_counted WHERE source = 'cost_tracking') BEGIN
    UPDATE botstore_cost_day SET
        requests = CAST(requests + (max(0, min(1000000000000, CAST(coalesce(new.request_count, 0) AS INTEGER)))
            - max(0, min(1000000000000, CAST(coalesce(old.request_count, 0) AS INTEGER)))) AS INTEGER),
        cost = CAST(cost + (CAST(round(1e9 * CASE WHEN 0.0 + new.daily_cost BETWEEN 0.0 AND 9e6 THEN 0.0 + new.daily_cost WHEN 0.0 + new.daily_cost > 9e6 AND 0.0 + new.daily_cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER)
            - CAST(round(1e9 * CASE WHEN 0.0 + old.daily_cost BETWEEN 0.0 AND 9e6 THEN 0.0 + old.daily_cost WHEN 0.0 + old.daily_cost > 9e6 AND 0.0 + old.daily_cost < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER)) AS INTEGER)
    WHERE day = CAST(coalesce(new.date, '') AS TEXT);
END;

-- A session that comes, goes, or gets another id or owner takes its counted tool uses along.
CREATE TRIGGER botstore_session_added AFTER INSERT ON sessions
WHEN EXISTS (SELECT 1 FROM botstore_session_tool t WHERE t.session_id = new.session_id) BEGIN
    INSERT INTO botstore_user_tool (user_id, tool_name, uses)
    SELECT new.user_id, tool_name, uses FROM botstore_session_tool WHERE session_id = new.session_id
    ON CONFLICT (user_id, tool_name) DO UPDATE SET uses = uses + excluded.uses;
END;
CREATE TRIGGER botstore_session_removed AFTER DELETE ON sessions
WHEN EXISTS (SELECT 1 FROM botstore_session_tool t WHERE t.session_id = old.session_id) BEGIN
    UPDATE botstore_user_tool SET uses = uses - (
        SELECT t.uses FROM botstore_session_tool t
        WHERE t.session_id = old.session_id AND t.tool_name = botstore_user_tool.tool_name)
    WHERE user_id = old.user_id AND tool_name IN (
        SELECT t.tool_name FROM botstore_session_tool t WHERE t.session_id = old.session_id);
    DELETE FROM botstore_user_tool
    WHERE user_id = old.user_id AND uses <= 0 AND tool_name IN (
        SELECT t.tool_name FROM botstore_session_tool t WHERE t.session_id = old.session_id);
END;
CREATE TRIGGER botstore_session_moved AFTER UPDATE OF session_id, user_id ON sessions
WHEN old.session_id IS NOT new.session_id OR old.user_id IS NOT new.user_id BEGIN
    INSERT INTO botstore_user_tool (user_id, tool_name, uses)
    SELECT new.user_id, tool_name, uses FROM botstore_session_tool WHERE session_id = new.session_id
    ON CONFLICT (user_id, tool_name) DO UPDATE SET uses = uses + excluded.uses;
    UPDATE botstore_user_tool SET uses = uses - (
        SELECT t.uses FROM botstore_session_tool t
        WHERE t.session_id = old.session_id AND t.tool_name = botstore_user_tool.tool_name)
    WHERE user_id = old.user_id AND tool_name IN (
        SELECT t.tool_name FROM botstore_session_tool t WHERE t.session_id = old.session_id);
    DELETE FROM botstore_user_tool
    WHERE user_id = old.user_id AND uses <= 0 AND tool_name IN (
        SELECT t.tool_name FROM botstore_session_tool t WHERE t.session_id = old.session_id);
END;
