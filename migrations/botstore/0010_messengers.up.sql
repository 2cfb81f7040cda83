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
    -- When the row was written, in microseconds since 1970.
    recorded_at   INTEGER NOT NULL,
    -- Until when the claim holds, in the same. NULL once it is finished, and for an interaction.
    claimed_until INTEGER
) WITHOUT ROWID;

-- Who a user of a messenger is whose ids are no numbers.
CREATE TABLE botstore_external_user (
    platform    TEXT    NOT NULL,
    external_id TEXT    NOT NULL,
    user_id     INTEGER NOT NULL UNIQUE REFERENCES users(user_id) ON DELETE CASCADE,
    PRIMARY KEY (platform, external_id)
) WITHOUT ROWID;

-- Who may read and write a session beside the user whose it is.
CREATE TABLE botstore_session_member (
    session_id TEXT    NOT NULL REFERENCES sessions(session_id) ON DELETE CASCADE ON UPDATE CASCADE,
    user_id    INTEGER NOT NULL REFERENCES users(user_id) ON DELETE CASCADE,
    joined_at  TEXT    NOT NULL,
    PRIMARY KEY (session_id, user_id)
) WITHOUT ROWID;
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
