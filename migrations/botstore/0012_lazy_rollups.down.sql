-- The tables and triggers of steps 7 to 10, empty: opening counts every row anew. Where the day does not begin at
-- midnight UTC, its offset stands in these triggers in place of '+0 minutes'. A zone whose offset changes has no
-- place there; its days are those of UTC again.
CREATE TABLE botstore_zone_before (minutes INTEGER NOT NULL);
INSERT INTO botstore_zone_before
    SELECT CASE WHEN count(*) = 1 AND max(offset_seconds) % 60 = 0 THEN max(offset_seconds) / 60 ELSE 0 END
    FROM botstore_zone WHERE generation = (SELECT min(generation) FROM botstore_total);

DROP TRIGGER botstore_message_added;
DROP TRIGGER botstore_message_removed;
DROP TRIGGER botstore_message_changed;
DROP TRIGGER botstore_tool_added;
DROP TRIGGER botstore_tool_removed;
DROP TRIGGER botstore_tool_changed;
DROP TRIGGER botstore_session_added;
DROP TRIGGER botstore_session_removed;
DROP TRIGGER botstore_session_moved;
DROP TRIGGER botstore_cost_added;
DROP TRIGGER botstore_cost_removed;
DROP TRIGGER botstore_cost_changed;
DROP TRIGGER botstore_cost_grown;
DROP TABLE botstore_message_count;
DROP TABLE botstore_tool_count;
DROP TABLE botstore_cost_count;
DROP TABLE botstore_counted;
DROP TABLE botstore_zone;
DROP TABLE botstore_total;
DROP TABLE botstore_day;
DROP TABLE botstore_user_total;
DROP TABLE botstore_user_day;
DROP TABLE botstore_session_day;
DROP TABLE botstore_session_user;
DROP TABLE botstore_tool;
DROP TABLE botstore_session_tool;
DROP TABLE botstore_user_tool;
DROP TABLE botstore_cost_day;

CREATE TABLE botstore_total (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    users      INTEGER NOT NULL, -- with a message
    sessions   INTEGER NOT NULL, -- with a message
    filled     INTEGER NOT NULL,
    repairing  INTEGER NOT NULL, -- 1 while a repair writes these tables themselves
    repairs    INTEGER NOT NULL, -- so that two repairs do not both mend the same
    day_offset INTEGER NOT NULL  -- minutes
);

CREATE TABLE botstore_day (
    day         TEXT    NOT NULL PRIMARY KEY,
    users       INTEGER NOT NULL,
    messages    INTEGER NOT NULL,
    errors      INTEGER NOT NULL,
    timed       INTEGER NOT NULL, -- messages whose duration is known
    duration_ms INTEGER NOT NULL, -- the sum of those
    cost        REAL    NOT NULL
) WITHOUT ROWID;

CREATE TABLE botstore_user_total (
    user_id  INTEGER PRIMARY KEY,
    sessions INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    cost     REAL    NOT NULL,
    last_day TEXT    NOT NULL
);

CREATE TABLE botstore_user_day (
    user_id     INTEGER NOT NULL,
    day         TEXT    NOT NULL,
    sessions    INTEGER NOT NULL,
    messages    INTEGER NOT NULL,
    errors      INTEGER NOT NULL,
    timed       INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    cost        REAL    NOT NULL,
    PRIMARY KEY (user_id, day)
) WITHOUT ROWID;

CREATE TABLE botstore_session_day (
    session_id TEXT    NOT NULL,
    user_id    INTEGER NOT NULL,
    day        TEXT    NOT NULL,
    PRIMARY KEY (session_id, user_id, day)
) WITHOUT ROWID;

CREATE TABLE botstore_tool (
    tool_name TEXT    NOT NULL PRIMARY KEY,
    uses      INTEGER NOT NULL,
    successes INTEGER NOT NULL,
    errors    INTEGER NOT NULL,
    sessions  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE botstore_session_tool (
    session_id TEXT NOT NULL,
    tool_name  TEXT NOT NULL,
    PRIMARY KEY (session_id, tool_name)
) WITHOUT ROWID;

CREATE TABLE botstore_user_tool (
    user_id   INTEGER NOT NULL,
    tool_name TEXT    NOT NULL,
    uses      INTEGER NOT NULL,
    PRIMARY KEY (user_id, tool_name)
) WITHOUT ROWID;

CREATE TABLE botstore_cost_day (
    day      TEXT    NOT NULL PRIMARY KEY,
    users    INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    cost     REAL    NOT NULL
) WITHOUT ROWID;

CREATE INDEX botstore_user_total_cost ON botstore_user_total(cost DESC);
CREATE INDEX botstore_user_total_day ON botstore_user_total(last_day);
CREATE INDEX botstore_user_day_day ON botstore_user_day(day);

INSERT INTO botstore_total SELECT 1, 0, 0, 0, 0, 0, minutes FROM botstore_zone_before;
DROP TABLE botstore_zone_before;

CREATE TRIGGER botstore_message_added AFTER INSERT ON messages BEGIN
    INSERT INTO botstore_day (day, users, messages, errors, timed, duration_ms, cost)
    VALUES (coalesce(date(substr(new.timestamp, 1, 19), '+0 minutes'), ''), 0, 1, new.error IS NOT NULL,
            new.duration_ms IS NOT NULL, CAST(coalesce(new.duration_ms, 0) AS INTEGER),
            0.0 + coalesce(new.cost, 0.0))
    ON CONFLICT (day) DO UPDATE SET
        messages = messages + 1, errors = errors + excluded.errors, timed = timed + excluded.timed,
        duration_ms = duration_ms + excluded.duration_ms, cost = cost + excluded.cost;
    INSERT INTO botstore_user_total (user_id, sessions, messages, cost, last_day)
    VALUES (new.user_id, 0, 1, 0.0 + coalesce(new.cost, 0.0),
            coalesce(date(substr(new.timestamp, 1, 19), '+0 minutes'), ''))
    ON CONFLICT (user_id) DO UPDATE SET
        messages = messages + 1, cost = cost + excluded.cost,
        last_day = max(last_day, excluded.last_day);
    INSERT INTO botstore_user_day
        (user_id, day, sessions, messages, errors, timed, duration_ms, cost)
    VALUES (new.user_id, coalesce(date(substr(new.timestamp, 1, 19), '+0 minutes'), ''), 0, 1,
            new.error IS NOT NULL, new.duration_ms IS NOT NULL, CAST(coalesce(new.duration_ms, 0) AS INTEGER),
            0.0 + coalesce(new.cost, 0.0))
    ON CONFLICT (user_id, day) DO UPDATE SET
        messages = messages + 1, errors = errors + excluded.errors, timed = timed + excluded.timed,
        duration_ms = duration_ms + excluded.duration_ms, cost = cost + excluded.cost;
    INSERT INTO botstore_session_day (session_id, user_id, day)
    VALUES (new.session_id, new.user_id, coalesce(date(substr(new.timestamp, 1, 19), '+0 minutes'), ''))
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER botstore_message_removed AFTER DELETE ON messages BEGIN
    UPDATE botstore_day SET
        messages = messages - 1, errors = errors - (old.error IS NOT NULL),
        timed = timed - (old.duration_ms IS NOT NULL),
        duration_ms = duration_ms - CAST(coalesce(old.duration_ms, 0) AS INTEGER),
        cost = cost - coalesce(old.cost, 0.0)
    WHERE day = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '');
    UPDATE botstore_user_day SET
        messages = messages - 1, errors = errors - (old.error IS NOT NULL),
        timed = timed - (old.duration_ms IS NOT NULL),
        duration_ms = duration_ms - CAST(coalesce(old.duration_ms, 0) AS INTEGER),
        cost = cost - coalesce(old.cost, 0.0)
    WHERE user_id = old.user_id AND day = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '');
    UPDATE botstore_user_total SET messages = messages - 1, cost = cost - coalesce(old.cost, 0.0)
    WHERE user_id = old.user_id;
    DELETE FROM botstore_session_day
    WHERE session_id = old.session_id AND user_id = old.user_id
      AND day = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '')
      AND NOT EXISTS (
        SELECT 1 FROM messages m
        WHERE m.session_id = old.session_id AND +m.user_id = old.user_id
          AND m.timestamp > date(substr(old.timestamp, 1, 19), '-1 day')
          AND m.timestamp < date(substr(old.timestamp, 1, 19), '+2 days')
          AND coalesce(date(substr(m.timestamp, 1, 19), '+0 minutes'), '') = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), ''))
      AND NOT EXISTS (
        SELECT 1 FROM messages m
        WHERE m.timestamp NOT GLOB '????-??-??T??:??:??.??????+00:00'
          AND +m.session_id = old.session_id AND +m.user_id = old.user_id
          AND coalesce(date(substr(m.timestamp, 1, 19), '+0 minutes'), '') = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), ''))
      AND NOT EXISTS (
        SELECT 1 FROM messages m
        WHERE coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '') = ''
          AND m.session_id = old.session_id AND m.user_id = old.user_id
          AND coalesce(date(substr(m.timestamp, 1, 19), '+0 minutes'), '') = '');
    DELETE FROM botstore_user_day
    WHERE user_id = old.user_id AND messages = 0
      AND day = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '');
    DELETE FROM botstore_user_total WHERE user_id = old.user_id AND messages = 0;
    UPDATE botstore_user_total
    SET last_day = (SELECT max(day) FROM botstore_user_day d WHERE d.user_id = old.user_id)
    WHERE user_id = old.user_id;
    DELETE FROM botstore_day
    WHERE day = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '') AND messages = 0;
END;

CREATE TRIGGER botstore_message_changed
AFTER UPDATE OF session_id, user_id, timestamp, cost, duration_ms, error ON messages BEGIN
    INSERT INTO botstore_day (day, users, messages, errors, timed, duration_ms, cost)
    VALUES (coalesce(date(substr(new.timestamp, 1, 19), '+0 minutes'), ''), 0, 1, new.error IS NOT NULL,
            new.duration_ms IS NOT NULL, CAST(coalesce(new.duration_ms, 0) AS INTEGER),
            0.0 + coalesce(new.cost, 0.0))
    ON CONFLICT (day) DO UPDATE SET
        messages = messages + 1, errors = errors + excluded.errors, timed = timed + excluded.timed,
        duration_ms = duration_ms + excluded.duration_ms, cost = cost + excluded.cost;
    INSERT INTO botstore_user_total (user_id, sessions, messages, cost, last_day)
    VALUES (new.user_id, 0, 1, 0.0 + coalesce(new.cost, 0.0),
            coalesce(date(substr(new.timestamp, 1, 19), '+0 minutes'), ''))
    ON CONFLICT (user_id) DO UPDATE SET
        messages = messages + 1, cost = cost + excluded.cost,
        last_day = max(last_day, excluded.last_day);
    INSERT INTO botstore_user_day
        (user_id, day, sessions, messages, errors, timed, duration_ms, cost)
    VALUES (new.user_id, coalesce(date(substr(new.timestamp, 1, 19), '+0 minutes'), ''), 0, 1,
            new.error IS NOT NULL, new.duration_ms IS NOT NULL, CAST(coalesce(new.duration_ms, 0) AS INTEGER),
            0.0 + coalesce(new.cost, 0.0))
    ON CONFLICT (user_id, day) DO UPDATE SET
        messages = messages + 1, errors = errors + excluded.errors, timed = timed + excluded.timed,
        duration_ms = duration_ms + excluded.duration_ms, cost = cost + excluded.cost;
    INSERT INTO botstore_session_day (session_id, user_id, day)
    VALUES (new.session_id, new.user_id, coalesce(date(substr(new.timestamp, 1, 19), '+0 minutes'), ''))
    ON CONFLICT DO NOTHING;
    UPDATE botstore_day SET
        messages = messages - 1, errors = errors - (old.error IS NOT NULL),
        timed = timed - (old.duration_ms IS NOT NULL),
        duration_ms = duration_ms - CAST(coalesce(old.duration_ms, 0) AS INTEGER),
        cost = cost - coalesce(old.cost, 0.0)
    WHERE day = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '');
    UPDATE botstore_user_day SET
        messages = messages - 1, errors = errors - (old.error IS NOT NULL),
        timed = timed - (old.duration_ms IS NOT NULL),
        duration_ms = duration_ms - CAST(coalesce(old.duration_ms, 0) AS INTEGER),
        cost = cost - coalesce(old.cost, 0.0)
    WHERE user_id = old.user_id AND day = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '');
    UPDATE botstore_user_total SET messages = messages - 1, cost = cost - coalesce(old.cost, 0.0)
    WHERE user_id = old.user_id;
    DELETE FROM botstore_session_day
    WHERE session_id = old.session_id AND user_id = old.user_id
      AND day = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '')
      AND NOT EXISTS (
        SELECT 1 FROM messages m
        WHERE m.session_id = old.session_id AND +m.user_id = old.user_id
          AND m.timestamp > date(substr(old.timestamp, 1, 19), '-1 day')
          AND m.timestamp < date(substr(old.timestamp, 1, 19), '+2 days')
          AND coalesce(date(substr(m.timestamp, 1, 19), '+0 minutes'), '') = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), ''))
      AND NOT EXISTS (
        SELECT 1 FROM messages m
        WHERE m.timestamp NOT GLOB '????-??-??T??:??:??.??????+00:00'
          AND +m.session_id = old.session_id AND +m.user_id = old.user_id
          AND coalesce(date(substr(m.timestamp, 1, 19), '+0 minutes'), '') = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), ''))
      AND NOT EXISTS (
        SELECT 1 FROM messages m
        WHERE coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '') = ''
          AND m.session_id = old.session_id AND m.user_id = old.user_id
          AND coalesce(date(substr(m.timestamp, 1, 19), '+0 minutes'), '') = '');
    DELETE FROM botstore_user_day
    WHERE user_id = old.user_id AND messages = 0
      AND day = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '');
    DELETE FROM botstore_user_total WHERE user_id = old.user_id AND messages = 0;
    UPDATE botstore_user_total
    SET last_day = (SELECT max(day) FROM botstore_user_day d WHERE d.user_id = old.user_id)
    WHERE user_id = old.user_id;
    DELETE FROM botstore_day
    WHERE day = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '') AND messages = 0;
END;

CREATE TRIGGER botstore_user_added AFTER INSERT ON botstore_user_total
WHEN (SELECT repairing FROM botstore_total) = 0 BEGIN
    UPDATE botstore_total SET users = users + 1;
END;

CREATE TRIGGER botstore_user_removed AFTER DELETE ON botstore_user_total
WHEN (SELECT repairing FROM botstore_total) = 0 BEGIN
    UPDATE botstore_total SET users = users - 1;
END;

CREATE TRIGGER botstore_user_day_added AFTER INSERT ON botstore_user_day
WHEN (SELECT repairing FROM botstore_total) = 0 BEGIN
    UPDATE botstore_day SET users = users + 1 WHERE day = new.day;
END;

CREATE TRIGGER botstore_user_day_removed AFTER DELETE ON botstore_user_day
WHEN (SELECT repairing FROM botstore_total) = 0 BEGIN
    UPDATE botstore_day SET users = users - 1 WHERE day = old.day;
END;

CREATE TRIGGER botstore_session_day_added AFTER INSERT ON botstore_session_day
WHEN (SELECT repairing FROM botstore_total) = 0 BEGIN
    UPDATE botstore_user_day SET sessions = sessions + 1
    WHERE user_id = new.user_id AND day = new.day;
    UPDATE botstore_user_total SET sessions = sessions + 1
    WHERE user_id = new.user_id AND NOT EXISTS (
        SELECT 1 FROM botstore_session_day d
        WHERE d.session_id = new.session_id AND d.user_id = new.user_id AND d.day <> new.day);
    UPDATE botstore_total SET sessions = sessions + 1
    WHERE (SELECT count(*) FROM (
        SELECT 1 FROM botstore_session_day d WHERE d.session_id = new.session_id LIMIT 2)) = 1;
END;

CREATE TRIGGER botstore_session_day_removed AFTER DELETE ON botstore_session_day
WHEN (SELECT repairing FROM botstore_total) = 0 BEGIN
    UPDATE botstore_user_day SET sessions = sessions - 1
    WHERE user_id = old.user_id AND day = old.day;
    UPDATE botstore_user_total SET sessions = sessions - 1
    WHERE user_id = old.user_id AND NOT EXISTS (
        SELECT 1 FROM botstore_session_day d
        WHERE d.session_id = old.session_id AND d.user_id = old.user_id);
    UPDATE botstore_total SET sessions = sessions - 1
    WHERE NOT EXISTS (
        SELECT 1 FROM botstore_session_day d WHERE d.session_id = old.session_id);
END;

CREATE TRIGGER botstore_tool_added AFTER INSERT ON tool_usage BEGIN
    INSERT INTO botstore_tool (tool_name, uses, successes, errors, sessions)
    VALUES (new.tool_name, 1, coalesce(new.success = 1, 0), coalesce(new.success = 0, 0), 0)
    ON CONFLICT (tool_name) DO UPDATE SET
        uses = uses + 1, successes = successes + excluded.successes,
        errors = errors + excluded.errors;
    INSERT INTO botstore_session_tool (session_id, tool_name)
    VALUES (new.session_id, new.tool_name)
    ON CONFLICT DO NOTHING;
    INSERT INTO botstore_user_tool (user_id, tool_name, uses)
    SELECT user_id, new.tool_name, 1 FROM sessions WHERE session_id = new.session_id
    ON CONFLICT (user_id, tool_name) DO UPDATE SET uses = uses + 1;
END;

CREATE TRIGGER botstore_tool_removed AFTER DELETE ON tool_usage BEGIN
    UPDATE botstore_tool SET
        uses = uses - 1, successes = successes - coalesce(old.success = 1, 0),
        errors = errors - coalesce(old.success = 0, 0)
    WHERE tool_name = old.tool_name;
    DELETE FROM botstore_session_tool
    WHERE session_id = old.session_id AND tool_name = old.tool_name
      AND NOT EXISTS (SELECT 1 FROM tool_usage t
                      WHERE t.session_id = old.session_id AND t.tool_name = old.tool_name);
    UPDATE botstore_user_tool SET uses = uses - 1
    WHERE tool_name = old.tool_name
      AND user_id = (SELECT user_id FROM sessions WHERE session_id = old.session_id);
    DELETE FROM botstore_user_tool
    WHERE tool_name = old.tool_name AND uses = 0
      AND user_id = (SELECT user_id FROM sessions WHERE session_id = old.session_id);
    DELETE FROM botstore_tool WHERE tool_name = old.tool_name AND uses = 0;
END;

CREATE TRIGGER botstore_tool_changed
AFTER UPDATE OF session_id, tool_name, success ON tool_usage BEGIN
    INSERT INTO botstore_tool (tool_name, uses, successes, errors, sessions)
    VALUES (new.tool_name, 1, coalesce(new.success = 1, 0), coalesce(new.success = 0, 0), 0)
    ON CONFLICT (tool_name) DO UPDATE SET
        uses = uses + 1, successes = successes + excluded.successes,
        errors = errors + excluded.errors;
    INSERT INTO botstore_session_tool (session_id, tool_name)
    VALUES (new.session_id, new.tool_name)
    ON CONFLICT DO NOTHING;
    INSERT INTO botstore_user_tool (user_id, tool_name, uses)
    SELECT user_id, new.tool_name, 1 FROM sessions WHERE session_id = new.session_id
    ON CONFLICT (user_id, tool_name) DO UPDATE SET uses = uses + 1;
    UPDATE botstore_tool SET
        uses = uses - 1, successes = successes - coalesce(old.success = 1, 0),
        errors = errors - coalesce(old.success = 0, 0)
    WHERE tool_name = old.tool_name;
    DELETE FROM botstore_session_tool
    WHERE session_id = old.session_id AND tool_name = old.tool_name
      AND NOT EXISTS (SELECT 1 FROM tool_usage t
                      WHERE t.session_id = old.session_id AND t.tool_name = old.tool_name);
    UPDATE botstore_user_tool SET uses = uses - 1
    WHERE tool_name = old.tool_name
      AND user_id = (SELECT user_id FROM sessions WHERE session_id = old.session_id);
    DELETE FROM botstore_user_tool
    WHERE tool_name = old.tool_name AND uses = 0
      AND user_id = (SELECT user_id FROM sessions WHERE session_id = old.session_id);
    DELETE FROM botstore_tool WHERE tool_name = old.tool_name AND uses = 0;
END;

CREATE TRIGGER botstore_session_tool_added AFTER INSERT ON botstore_session_tool
WHEN (SELECT repairing FROM botstore_total) = 0 BEGIN
    UPDATE botstore_tool SET sessions = sessions + 1 WHERE tool_name = new.tool_name;
END;

CREATE TRIGGER botstore_session_tool_removed AFTER DELETE ON botstore_session_tool
WHEN (SELECT repairing FROM botstore_total) = 0 BEGIN
    UPDATE botstore_tool SET sessions = sessions - 1 WHERE tool_name = old.tool_name;
END;

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

CREATE TRIGGER botstore_cost_added AFTER INSERT ON cost_tracking BEGIN
    INSERT INTO botstore_cost_day (day, users, requests, cost)
    VALUES (new.date, 1, coalesce(new.request_count, 0), 0.0 + coalesce(new.daily_cost, 0.0))
    ON CONFLICT (day) DO UPDATE SET
        users = users + 1, requests = requests + excluded.requests, cost = cost + excluded.cost;
END;

CREATE TRIGGER botstore_cost_removed AFTER DELETE ON cost_tracking BEGIN
    UPDATE botstore_cost_day SET
        users = users - 1, requests = requests - coalesce(old.request_count, 0),
        cost = cost - coalesce(old.daily_cost, 0.0)
    WHERE day = old.date;
    DELETE FROM botstore_cost_day WHERE day = old.date AND users = 0;
END;

CREATE TRIGGER botstore_cost_changed
AFTER UPDATE OF date, daily_cost, request_count ON cost_tracking
WHEN old.date = new.date BEGIN
    UPDATE botstore_cost_day SET
        requests = requests + coalesce(new.request_count, 0) - coalesce(old.request_count, 0),
        cost = cost + (coalesce(new.daily_cost, 0.0) - coalesce(old.daily_cost, 0.0))
    WHERE day = new.date;
END;

CREATE TRIGGER botstore_cost_moved AFTER UPDATE OF date ON cost_tracking
WHEN old.date <> new.date BEGIN
    INSERT INTO botstore_cost_day (day, users, requests, cost)
    VALUES (new.date, 1, coalesce(new.request_count, 0), 0.0 + coalesce(new.daily_cost, 0.0))
    ON CONFLICT (day) DO UPDATE SET
        users = users + 1, requests = requests + excluded.requests, cost = cost + excluded.cost;
    UPDATE botstore_cost_day SET
        users = users - 1, requests = requests - coalesce(old.request_count, 0),
        cost = cost - coalesce(old.daily_cost, 0.0)
    WHERE day = old.date;
    DELETE FROM botstore_cost_day WHERE day = old.date AND users = 0;
END;
