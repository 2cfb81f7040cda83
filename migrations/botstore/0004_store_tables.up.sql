-- What the seed has no place for, in tables of its own: the seed's seven keep their columns.

-- The receipt of an interaction that came with an idempotency key, so that the same one sent again
-- gets it again. A user's keys are the user's own.
CREATE TABLE botstore_idempotency (
    user_id         INTEGER NOT NULL,
    idempotency_key TEXT    NOT NULL,
    message_id      INTEGER NOT NULL,
    recorded_at     TEXT    NOT NULL,
    PRIMARY KEY (user_id, idempotency_key)
) STRICT, WITHOUT ROWID;
-- For the sweep of old keys.
CREATE INDEX botstore_idempotency_age ON botstore_idempotency(recorded_at);

-- When each scheduled mutation last ran.
CREATE TABLE botstore_schedules (
    name        TEXT NOT NULL PRIMARY KEY,
    last_run_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
