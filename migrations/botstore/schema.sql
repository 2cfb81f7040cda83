CREATE TABLE schema_version (
    version INTEGER PRIMARY KEY
);

CREATE TABLE users (
    user_id INTEGER PRIMARY KEY,
    telegram_username TEXT,
    first_seen TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    last_active TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    is_allowed BOOLEAN DEFAULT FALSE,
    total_cost REAL DEFAULT 0.0,
    message_count INTEGER DEFAULT 0,
    session_count INTEGER DEFAULT 0
);

CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    user_id INTEGER NOT NULL,
    project_path TEXT NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    last_used TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    total_cost REAL DEFAULT 0.0,
    total_turns INTEGER DEFAULT 0,
    message_count INTEGER DEFAULT 0,
    is_active BOOLEAN DEFAULT TRUE,
    FOREIGN KEY (user_id) REFERENCES users(user_id)
);

CREATE TABLE messages (
    message_id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    user_id INTEGER NOT NULL,
    timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    prompt TEXT NOT NULL,
    response TEXT,
    cost REAL DEFAULT 0.0,
    duration_ms INTEGER,
    error TEXT,
    FOREIGN KEY (session_id) REFERENCES sessions(session_id),
    FOREIGN KEY (user_id) REFERENCES users(user_id)
);

CREATE TABLE tool_usage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    message_id INTEGER,
    tool_name TEXT NOT NULL,
    tool_input JSON,
    timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN DEFAULT TRUE,
    error_message TEXT,
    FOREIGN KEY (session_id) REFERENCES sessions(session_id),
    FOREIGN KEY (message_id) REFERENCES messages(message_id)
);

CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    event_data JSON,
    success BOOLEAN DEFAULT TRUE,
    timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    ip_address TEXT,
    FOREIGN KEY (user_id) REFERENCES users(user_id)
);

CREATE TABLE user_tokens (
    token_id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    expires_at TIMESTAMP,
    last_used TIMESTAMP,
    is_active BOOLEAN DEFAULT TRUE,
    FOREIGN KEY (user_id) REFERENCES users(user_id)
);

CREATE TABLE cost_tracking (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL,
    date DATE NOT NULL,
    daily_cost REAL DEFAULT 0.0,
    request_count INTEGER DEFAULT 0,
    UNIQUE(user_id, date),
    FOREIGN KEY (user_id) REFERENCES users(user_id)
);

CREATE INDEX idx_sessions_user_id ON sessions(user_id);

CREATE INDEX idx_sessions_project_path ON sessions(project_path);

CREATE INDEX idx_messages_session_id ON messages(session_id);

CREATE INDEX idx_messages_timestamp ON messages(timestamp);

CREATE INDEX idx_audit_log_user_id ON audit_log(user_id);

CREATE INDEX idx_audit_log_timestamp ON audit_log(timestamp);

CREATE INDEX idx_cost_tracking_user_date ON cost_tracking(user_id, date);

CREATE VIEW daily_stats AS
    SELECT
        date(timestamp) AS date,
        COUNT(DISTINCT user_id) AS active_users,
        COUNT(*) AS total_messages,
        SUM(cost) AS total_cost,
        AVG(duration_ms) AS avg_duration
    FROM messages
    GROUP BY date(timestamp);

CREATE INDEX botstore_stray_users ON users(user_id)
    WHERE first_seen NOT GLOB '????-??-??T??:??:??.??????+00:00'
    OR last_active NOT GLOB '????-??-??T??:??:??.??????+00:00';

CREATE INDEX botstore_stray_sessions ON sessions(session_id)
    WHERE created_at NOT GLOB '????-??-??T??:??:??.??????+00:00'
    OR last_used NOT GLOB '????-??-??T??:??:??.??????+00:00';

CREATE INDEX botstore_stray_messages ON messages(message_id)
    WHERE timestamp NOT GLOB '????-??-??T??:??:??.??????+00:00';

CREATE INDEX botstore_stray_tool_usage ON tool_usage(id)
    WHERE timestamp NOT GLOB '????-??-??T??:??:??.??????+00:00';

CREATE INDEX botstore_stray_audit_log ON audit_log(id)
    WHERE timestamp NOT GLOB '????-??-??T??:??:??.??????+00:00';

CREATE INDEX botstore_stray_user_tokens ON user_tokens(token_id)
    WHERE created_at NOT GLOB '????-??-??T??:??:??.??????+00:00'
    OR expires_at NOT GLOB '????-??-??T??:??:??.??????+00:00'
    OR last_used NOT GLOB '????-??-??T??:??:??.??????+00:00';

CREATE INDEX botstore_tokens_user ON user_tokens(user_id);

CREATE INDEX botstore_users_first_seen ON users(first_seen);

CREATE INDEX botstore_users_allowed ON users(first_seen) WHERE is_allowed = 1;

CREATE INDEX botstore_sessions_active ON sessions(user_id) WHERE is_active = 1;

CREATE INDEX botstore_audit_type ON audit_log(event_type, timestamp)
    WHERE event_type <> 'interaction';

CREATE TABLE botstore_idempotency (
    user_id         INTEGER NOT NULL CHECK (typeof(user_id) = 'integer'),
    idempotency_key TEXT    NOT NULL CHECK (typeof(idempotency_key) = 'text'),
    message_id      INTEGER NOT NULL CHECK (typeof(message_id) = 'integer'),
    recorded_at     TEXT    NOT NULL CHECK (typeof(recorded_at) = 'text'),
    PRIMARY KEY (user_id, idempotency_key)
) WITHOUT ROWID;

CREATE INDEX botstore_idempotency_age ON botstore_idempotency(recorded_at);

CREATE TABLE botstore_schedules (
    name        TEXT NOT NULL PRIMARY KEY CHECK (typeof(name) = 'text'),
    last_run_at TEXT NOT NULL CHECK (typeof(last_run_at) = 'text')
) WITHOUT ROWID;

CREATE TABLE botstore_store (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    store_id TEXT    NOT NULL CHECK (typeof(store_id) = 'text')
);

CREATE VIEW user_stats AS
    SELECT
        u.user_id,
        u.telegram_username,
        (SELECT COUNT(*) FROM sessions s WHERE s.user_id = u.user_id) AS total_sessions,
        (SELECT COUNT(*) FROM messages m WHERE m.user_id = u.user_id) AS total_messages,
        (SELECT SUM(m.cost) FROM messages m WHERE m.user_id = u.user_id) AS total_cost,
        (SELECT MAX(m.timestamp) FROM messages m WHERE m.user_id = u.user_id) AS last_activity
    FROM users u;

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

CREATE TABLE botstore_external_user (
    user_id     INTEGER PRIMARY KEY AUTOINCREMENT REFERENCES users(user_id) ON DELETE CASCADE,
    platform    TEXT NOT NULL,
    external_id TEXT NOT NULL,
    UNIQUE (platform, external_id)
);

CREATE TABLE botstore_session_member (
    member_id  INTEGER PRIMARY KEY,
    session_id TEXT    NOT NULL REFERENCES sessions(session_id) ON DELETE CASCADE ON UPDATE CASCADE,
    user_id    INTEGER NOT NULL REFERENCES users(user_id) ON DELETE CASCADE,
    joined_at  TEXT    NOT NULL,
    UNIQUE (session_id, user_id)
);

CREATE INDEX botstore_session_member_session ON botstore_session_member(session_id);

CREATE INDEX botstore_session_member_user ON botstore_session_member(user_id);

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

CREATE INDEX botstore_tool_usage_message ON tool_usage(message_id) WHERE message_id IS NOT NULL;

CREATE TABLE botstore_session_recent (
    user_id    INTEGER NOT NULL,
    day        BLOB    NOT NULL,
    session_id TEXT    NOT NULL,
    PRIMARY KEY (user_id, day, session_id)
) WITHOUT ROWID;

CREATE TABLE botstore_session_import (
    session_id TEXT    NOT NULL PRIMARY KEY REFERENCES sessions(session_id) ON DELETE CASCADE ON UPDATE CASCADE,
    upto_id    INTEGER NOT NULL,
    latest     TEXT    NOT NULL
) WITHOUT ROWID;

CREATE INDEX botstore_messages_of_user ON messages(user_id);

CREATE INDEX botstore_tool_usage_of_session ON tool_usage(session_id);

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

CREATE TRIGGER botstore_import_overtaken AFTER INSERT ON messages
WHEN EXISTS (SELECT 1 FROM botstore_session_import i
             WHERE i.session_id = new.session_id AND i.upto_id >= new.message_id) BEGIN
    DELETE FROM botstore_session_import WHERE session_id = new.session_id;
END;

CREATE TRIGGER botstore_import_changed AFTER UPDATE OF message_id, session_id, timestamp ON messages BEGIN
    DELETE FROM botstore_session_import WHERE session_id = new.session_id;
END;

CREATE TABLE botstore_counted (
    source     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    last_id    INTEGER NOT NULL,
    PRIMARY KEY (source, generation)
) WITHOUT ROWID;

CREATE TABLE botstore_zone (
    generation     INTEGER NOT NULL,
    since          TEXT    NOT NULL,
    offset_seconds INTEGER NOT NULL,
    zone           TEXT    NOT NULL,
    PRIMARY KEY (generation, since)
) WITHOUT ROWID;

CREATE TABLE botstore_total (
    generation INTEGER PRIMARY KEY,
    users      INTEGER NOT NULL, -- with a message
    sessions   INTEGER NOT NULL, -- with a message
    repairs    INTEGER NOT NULL  -- so that two repairs do not both mend the same
);

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

CREATE INDEX botstore_user_day_user ON botstore_user_day(generation, user_id, day);

CREATE TABLE botstore_session_day (
    generation INTEGER NOT NULL,
    day        TEXT    NOT NULL,
    user_id    INTEGER NOT NULL,
    session_id TEXT    NOT NULL,
    messages   INTEGER NOT NULL,
    PRIMARY KEY (generation, day, user_id, session_id)
) WITHOUT ROWID;

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

CREATE TABLE botstore_cost_day (
    day      TEXT    NOT NULL PRIMARY KEY,
    users    INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    cost     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE botstore_message_count (messages, generation, session_id, user_id, day, errors, timed, duration_ms, cost);

CREATE TABLE botstore_tool_count (uses, session_id, tool_name, successes, errors);

CREATE TABLE botstore_cost_count (users, day, requests, cost);

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
END
