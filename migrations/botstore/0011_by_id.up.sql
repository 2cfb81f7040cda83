-- The order of a list is the order of saving, which is that of the ids, and an index ends with the rowid: so one on
-- the owner alone gives a page in its order. The times in these indexes made them three times as long, and the time
-- of last use was written anew with each message.
--
-- New indexes come first, and the old ones go last: an older program that opens the file half-way has them all.

-- When each session was last used, to the day, which most messages do not change. So the sessions that a user used
-- last are found day by day, and only those of one day are sorted by their times.
--
-- `day` holds the first ten characters of a time, as bytes in the file's encoding: bytes sort as the texts do that
-- they begin, whatever is in them. A number sorts before every text, so it has no bytes; a blob sorts after.
-- A session without an id is not here: it is found by its missing id.
-- Only a REPLACE by another program, which fires no trigger for the row that goes, leaves an entry of a day that is no
-- longer the session's: whoever reads this compares it with the session.
CREATE TABLE botstore_session_recent (
    user_id    INTEGER NOT NULL,
    day        BLOB    NOT NULL,
    session_id TEXT    NOT NULL,
    PRIMARY KEY (user_id, day, session_id)
) WITHOUT ROWID;

-- What a history that is brought along has been compared with: no message of the session up to this id is later
-- than `latest`. So the next message of it is compared with those that came since.
CREATE TABLE botstore_session_import (
    session_id TEXT    NOT NULL PRIMARY KEY REFERENCES sessions(session_id) ON DELETE CASCADE ON UPDATE CASCADE,
    upto_id    INTEGER NOT NULL,
    latest     TEXT    NOT NULL
) WITHOUT ROWID;

CREATE INDEX botstore_messages_of_user ON messages(user_id);

CREATE INDEX botstore_tool_usage_of_session ON tool_usage(session_id);

INSERT INTO botstore_session_recent (user_id, day, session_id)
    SELECT user_id,
           CASE typeof(last_used)
               WHEN 'text' THEN coalesce(substr(CAST(last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
               WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
               ELSE x'' END,
           session_id
    FROM sessions WHERE session_id IS NOT NULL
    ORDER BY 1, 2, 3;

CREATE TRIGGER botstore_recent_added AFTER INSERT ON sessions WHEN new.session_id IS NOT NULL BEGIN
    INSERT INTO botstore_session_recent (user_id, day, session_id)
    VALUES (new.user_id,
           CASE typeof(new.last_used)
               WHEN 'text' THEN coalesce(substr(CAST(new.last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
               WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
               ELSE x'' END,
           new.session_id)
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER botstore_recent_removed AFTER DELETE ON sessions BEGIN
    DELETE FROM botstore_session_recent
    WHERE user_id = old.user_id AND session_id = old.session_id
      AND day = CASE typeof(old.last_used)
                    WHEN 'text' THEN coalesce(substr(CAST(old.last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
                    WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
                    ELSE x'' END;
END;

CREATE TRIGGER botstore_recent_changed AFTER UPDATE OF session_id, user_id, last_used ON sessions
WHEN old.session_id IS NOT new.session_id OR old.user_id IS NOT new.user_id
  OR CASE typeof(old.last_used)
         WHEN 'text' THEN coalesce(substr(CAST(old.last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
         WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
         ELSE x'' END
  <> CASE typeof(new.last_used)
         WHEN 'text' THEN coalesce(substr(CAST(new.last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
         WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
         ELSE x'' END
BEGIN
    DELETE FROM botstore_session_recent
    WHERE user_id = old.user_id AND session_id = old.session_id
      AND day = CASE typeof(old.last_used)
                    WHEN 'text' THEN coalesce(substr(CAST(old.last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
                    WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
                    ELSE x'' END;
    INSERT INTO botstore_session_recent (user_id, day, session_id)
    SELECT new.user_id,
           CASE typeof(new.last_used)
               WHEN 'text' THEN coalesce(substr(CAST(new.last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
               WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
               ELSE x'' END,
           new.session_id
    WHERE new.session_id IS NOT NULL
    ON CONFLICT DO NOTHING;
END;

-- A message that comes to stand among those that were compared, which only another program's does.
CREATE TRIGGER botstore_import_overtaken AFTER INSERT ON messages
WHEN EXISTS (SELECT 1 FROM botstore_session_import i
             WHERE i.session_id = new.session_id AND i.upto_id >= new.message_id) BEGIN
    DELETE FROM botstore_session_import WHERE session_id = new.session_id;
END;

CREATE TRIGGER botstore_import_changed AFTER UPDATE OF message_id, session_id, timestamp ON messages BEGIN
    DELETE FROM botstore_session_import WHERE session_id = new.session_id;
END;

DROP INDEX IF EXISTS botstore_messages_session;
DROP INDEX IF EXISTS botstore_messages_user;
DROP INDEX IF EXISTS botstore_audit_user;
DROP INDEX IF EXISTS botstore_sessions_user;
DROP INDEX IF EXISTS botstore_tool_usage_session_tool;
-- Nobody asks for the costs of a day one by one any more.
DROP INDEX IF EXISTS botstore_costs_date;
