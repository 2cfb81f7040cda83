CREATE INDEX botstore_tool_usage_session ON tool_usage(session_id, timestamp);
DROP INDEX botstore_tool_usage_session_tool;
DROP INDEX botstore_tool_usage_message;

-- Where a file's day does not begin at midnight UTC, its offset stands in these triggers in place of '+0 minutes'.
DROP TRIGGER botstore_message_removed;
DROP TRIGGER botstore_message_changed;
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
        WHERE m.session_id = old.session_id AND m.user_id = old.user_id
          AND coalesce(date(substr(m.timestamp, 1, 19), '+0 minutes'), '') = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), ''));
    DELETE FROM botstore_user_day
    WHERE user_id = old.user_id AND messages = 0;
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
        WHERE m.session_id = old.session_id AND m.user_id = old.user_id
          AND coalesce(date(substr(m.timestamp, 1, 19), '+0 minutes'), '') = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), ''));
    DELETE FROM botstore_user_day
    WHERE user_id = old.user_id AND messages = 0;
    DELETE FROM botstore_user_total WHERE user_id = old.user_id AND messages = 0;
    UPDATE botstore_user_total
    SET last_day = (SELECT max(day) FROM botstore_user_day d WHERE d.user_id = old.user_id)
    WHERE user_id = old.user_id;
    DELETE FROM botstore_day
    WHERE day = coalesce(date(substr(old.timestamp, 1, 19), '+0 minutes'), '') AND messages = 0;
END;

DROP TABLE botstore_timer;
DROP TABLE botstore_session_member;
DROP TABLE botstore_external_user;
-- Keys that were saved since are forgotten: a digest tells none, so there is nothing to write where they were before.
DROP TABLE botstore_update;
