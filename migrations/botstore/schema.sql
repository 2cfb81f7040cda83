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

CREATE INDEX botstore_costs_date ON cost_tracking(date);

CREATE INDEX botstore_users_first_seen ON users(first_seen);

CREATE INDEX botstore_users_allowed ON users(first_seen) WHERE is_allowed = 1;

CREATE INDEX botstore_sessions_active ON sessions(user_id) WHERE is_active = 1;

CREATE INDEX botstore_audit_type ON audit_log(event_type, timestamp)
    WHERE event_type <> 'interaction';

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

CREATE INDEX botstore_user_total_cost ON botstore_user_total(cost DESC);

CREATE INDEX botstore_user_total_day ON botstore_user_total(last_day);

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

CREATE INDEX botstore_user_day_day ON botstore_user_day(day);

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

CREATE INDEX botstore_tool_usage_message ON tool_usage(message_id) WHERE message_id IS NOT NULL;

CREATE TABLE botstore_session_recent (
    session_id TEXT NOT NULL PRIMARY KEY,
    user_id    INTEGER,
    day        BLOB
) WITHOUT ROWID;

CREATE INDEX botstore_session_recent_day ON botstore_session_recent(user_id, day);

CREATE TABLE botstore_session_import (
    session_id TEXT    NOT NULL PRIMARY KEY REFERENCES sessions(session_id) ON DELETE CASCADE ON UPDATE CASCADE,
    upto_id    INTEGER NOT NULL,
    latest     TEXT    NOT NULL
) WITHOUT ROWID;

CREATE INDEX botstore_messages_of_user ON messages(user_id);

CREATE INDEX botstore_tool_usage_of_session ON tool_usage(session_id);

CREATE TRIGGER botstore_recent_added AFTER INSERT ON sessions WHEN new.session_id IS NOT NULL BEGIN
    INSERT INTO botstore_session_recent (session_id, user_id, day)
    VALUES (new.session_id, new.user_id,
           CASE typeof(new.last_used)
               WHEN 'text' THEN coalesce(substr(CAST(new.last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
               WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
               ELSE x'' END)
    ON CONFLICT (session_id) DO UPDATE SET user_id = excluded.user_id, day = excluded.day;
END;

CREATE TRIGGER botstore_recent_removed AFTER DELETE ON sessions BEGIN
    DELETE FROM botstore_session_recent WHERE session_id = old.session_id;
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
    WHERE session_id = old.session_id AND old.session_id IS NOT new.session_id;
    INSERT INTO botstore_session_recent (session_id, user_id, day)
    SELECT new.session_id, new.user_id,
           CASE typeof(new.last_used)
               WHEN 'text' THEN coalesce(substr(CAST(new.last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
               WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
               ELSE x'' END
    WHERE new.session_id IS NOT NULL
    ON CONFLICT (session_id) DO UPDATE SET user_id = excluded.user_id, day = excluded.day;
END;

CREATE TRIGGER botstore_import_overtaken AFTER INSERT ON messages
WHEN EXISTS (SELECT 1 FROM botstore_session_import i
             WHERE i.session_id = new.session_id AND i.upto_id >= new.message_id) BEGIN
    DELETE FROM botstore_session_import WHERE session_id = new.session_id;
END;

CREATE TRIGGER botstore_import_changed AFTER UPDATE OF message_id, session_id, timestamp ON messages BEGIN
    DELETE FROM botstore_session_import WHERE session_id = new.session_id;
END
