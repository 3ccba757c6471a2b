-- Schema 15: what the calls of a day add up to, so that reports and budgets need not read every posting. A fold of
-- postings: it may be emptied at any time, and is made again.

CREATE TABLE day_total (
    day                     TEXT NOT NULL, -- as in 2026-11-24, of the calendar in meta
    account_id              INTEGER NOT NULL REFERENCES account,
    evidence                TEXT NOT NULL,
    status                  TEXT NOT NULL,
    requests                INTEGER NOT NULL,
    input                   INTEGER NOT NULL,
    output                  INTEGER NOT NULL,
    cache_read              INTEGER NOT NULL,
    cache_write_5m          INTEGER NOT NULL,
    cache_write_1h          INTEGER NOT NULL,
    cache_write_unspecified INTEGER NOT NULL,
    web_search              INTEGER NOT NULL,
    -- Sums of pico-USD may exceed 64 bits: they are kept in whole USD and in the rest.
    cost_usd                INTEGER NOT NULL,
    cost_picousd            INTEGER NOT NULL,
    list_cost_usd           INTEGER NOT NULL,
    list_cost_picousd       INTEGER NOT NULL,
    client_cost_usd         INTEGER NOT NULL,
    client_cost_picousd     INTEGER NOT NULL,
    PRIMARY KEY (day, account_id, evidence, status)
) STRICT, WITHOUT ROWID;
