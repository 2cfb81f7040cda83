-- What tokens cost: by provider, model, and the time from which a price holds. Nano-dollars for a million tokens;
-- NULL for a kind of tokens that costs as much as the kind of which it is a part.
--
-- Only the store's own messages write it, so each value is checked.
CREATE TABLE botstore_price (
    provider     TEXT    NOT NULL CHECK (typeof(provider) = 'text' AND provider <> ''),
    model        TEXT    NOT NULL CHECK (typeof(model) = 'text' AND model <> ''),
    valid_from   TEXT    NOT NULL CHECK (typeof(valid_from) = 'text' AND length(valid_from) = 32),
    input        INTEGER NOT NULL CHECK (typeof(input) = 'integer' AND input >= 0),
    cached_input INTEGER          CHECK (typeof(cached_input) IN ('integer', 'null') AND cached_input >= 0), -- else as input
    cache_write  INTEGER          CHECK (typeof(cache_write) IN ('integer', 'null') AND cache_write >= 0),   -- else as input
    output       INTEGER NOT NULL CHECK (typeof(output) = 'integer' AND output >= 0),
    reasoning    INTEGER          CHECK (typeof(reasoning) IN ('integer', 'null') AND reasoning >= 0),       -- else as output
    PRIMARY KEY (provider, model, valid_from)
) WITHOUT ROWID;
