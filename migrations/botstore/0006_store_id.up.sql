-- Whose backups are whose: a random number, made once, which a file's copies keep.
CREATE TABLE botstore_store (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    store_id TEXT    NOT NULL
) STRICT;
INSERT INTO botstore_store (id, store_id) VALUES (1, lower(hex(randomblob(16))));
