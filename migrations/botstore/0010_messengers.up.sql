-- What a bot needs of its messenger: updates that come twice, users whose ids are no numbers, sessions that
-- several users share, and messages to itself at a later time.

-- An update of a messenger: an interaction that came with a key, or one that a bot has claimed.
-- Without an index by age: each save would write it, and a sweep reads the table in pieces, once a day.
CREATE TABLE botstore_update (
    -- The first 16 bytes of the SHA-256 of what the update is known by.
    key           BLOB    NOT NULL PRIMARY KEY,
    -- The same of what the interaction says, to tell another one with its key. NULL for a claim.
    content       BLOB,
    -- The message that it became. NULL for a claim.
    message_id    INTEGER,
    -- Which claim it is, so that one that was overtaken does not finish the other's. NULL for an interaction.
    ticket        INTEGER,
    -- When the row was written, in microseconds since 1970.
    recorded_at   INTEGER NOT NULL,
    -- Until when the claim holds, in the same. NULL once it is finished, and for an interaction.
    claimed_until INTEGER
) WITHOUT ROWID;

-- Who a user of a messenger is whose ids are no numbers. With AUTOINCREMENT: the id of a user who was deleted is never
-- given to another.
CREATE TABLE botstore_external_user (
    user_id     INTEGER PRIMARY KEY AUTOINCREMENT REFERENCES users(user_id) ON DELETE CASCADE,
    platform    TEXT NOT NULL,
    external_id TEXT NOT NULL,
    UNIQUE (platform, external_id)
);

-- Who may read and write a session beside the user whose it is. With an id, which tells the order in which they
-- joined.
CREATE TABLE botstore_session_member (
    member_id  INTEGER PRIMARY KEY,
    session_id TEXT    NOT NULL REFERENCES sessions(session_id) ON DELETE CASCADE ON UPDATE CASCADE,
    user_id    INTEGER NOT NULL REFERENCES users(user_id) ON DELETE CASCADE,
    joined_at  TEXT    NOT NULL,
    UNIQUE (session_id, user_id)
);
CREATE INDEX botstore_session_member_session ON botstore_session_member(session_id);
CREATE INDEX botstore_session_member_user ON botstore_session_member(user_id);

-- A message that the bot sends itself at a time.
CREATE TABLE botstore_timer (
    timer_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    message    TEXT    NOT NULL,
    due_at     TEXT    NOT NULL,
    created_at TEXT    NOT NULL,
    -- When it is tried next. NULL for one that waits for a bot that knows its name, or can run it.
    try_at     TEXT,
    failures   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX botstore_timer_try ON botstore_timer(try_at);
CREATE INDEX botstore_timer_name ON botstore_timer(name);
CREATE INDEX botstore_timer_waits ON botstore_timer(name) WHERE try_at IS NULL;

-- To delete a message, or to change what it cost, takes as long in a session of years as in one of a day.
-- Whether the session has another message of that day is asked of the days around it, and of the few messages
-- that have a time in another spelling; and of all only where the day is none. Triggers of step 7 asked all.
-- Where a file's day does not begin at midnight UTC, its offset stands in these triggers in place of '+0 minutes'.
DROP TRIGGER IF EXISTS botstore_message_removed;
DROP TRIGGER IF EXISTS botstore_message_changed;
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

-- A message that goes must have no tool use that refers to it, which SQLite looks for.
CREATE INDEX botstore_tool_usage_message ON tool_usage(message_id) WHERE message_id IS NOT NULL;

-- A use that goes must tell whether it was the session's last of its tool. In place of the index by time, which
-- nothing is in the order of any more.
CREATE INDEX botstore_tool_usage_session_tool ON tool_usage(session_id, tool_name);
DROP INDEX IF EXISTS botstore_tool_usage_session;
