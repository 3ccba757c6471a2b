-- Schema 1. Money is integer pico-USD, times are Unix nanoseconds, absent text is ''.
-- Facts that repeat (sender, call, account, price) are rows of their own; entries refer to them by id.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sender (
    id                INTEGER PRIMARY KEY,
    session_id        TEXT NOT NULL,
    user_id           TEXT NOT NULL,
    user_email        TEXT NOT NULL,
    user_account_uuid TEXT NOT NULL,
    organization_id   TEXT NOT NULL,
    plan              TEXT NOT NULL,
    seat_type         TEXT NOT NULL,
    provider          TEXT NOT NULL,
    client_version    TEXT NOT NULL,
    labels            TEXT NOT NULL,
    resource_digest   TEXT NOT NULL,
    UNIQUE (session_id, user_id, user_email, user_account_uuid, organization_id, plan, seat_type, provider,
            client_version, labels, resource_digest)
) STRICT;

CREATE TABLE call_kind (
    id              INTEGER PRIMARY KEY,
    model           TEXT NOT NULL,
    query_class     TEXT NOT NULL,
    query_source    TEXT NOT NULL,
    speed           TEXT NOT NULL,
    effort          TEXT NOT NULL,
    agent_name      TEXT NOT NULL,
    skill_name      TEXT NOT NULL,
    mcp_server_name TEXT NOT NULL,
    mcp_tool_name   TEXT NOT NULL,
    UNIQUE (model, query_class, query_source, speed, effort, agent_name, skill_name, mcp_server_name, mcp_tool_name)
) STRICT;

CREATE TABLE account (
    id             INTEGER PRIMARY KEY,
    basis          TEXT NOT NULL,
    user           TEXT NOT NULL,
    provider       TEXT NOT NULL,
    model          TEXT NOT NULL,
    served_model   TEXT NOT NULL,
    query_class    TEXT NOT NULL,
    speed          TEXT NOT NULL,
    client_version TEXT NOT NULL,
    labels         TEXT NOT NULL,
    UNIQUE (basis, user, provider, model, served_model, query_class, speed, client_version, labels)
) STRICT;

CREATE TABLE price (
    id              INTEGER PRIMARY KEY,
    price_book      TEXT NOT NULL,
    price_row       TEXT NOT NULL,
    rates           TEXT NOT NULL, -- pico-USD per token in the order of the token columns, a JSON array; '' if unpriced
    unpriced_reason TEXT NOT NULL,
    unpriced_detail TEXT NOT NULL,
    UNIQUE (price_book, price_row, rates, unpriced_reason, unpriced_detail)
) STRICT;

-- Every distinct record that was received of a model call. A bucket holds the records that could be of one call.
CREATE TABLE evidence (
    id                      INTEGER PRIMARY KEY,
    bucket                  TEXT NOT NULL,
    signal                  TEXT NOT NULL,
    digest                  TEXT NOT NULL,
    identity                TEXT NOT NULL,
    sender_id               INTEGER NOT NULL REFERENCES sender,
    call_kind_id            INTEGER NOT NULL REFERENCES call_kind,
    input                   INTEGER NOT NULL,
    output                  INTEGER NOT NULL,
    cache_read              INTEGER NOT NULL,
    cache_write_5m          INTEGER NOT NULL,
    cache_write_1h          INTEGER NOT NULL,
    cache_write_unspecified INTEGER NOT NULL,
    web_search              INTEGER NOT NULL,
    time_unix_nano          INTEGER NOT NULL,
    client_cost_picousd     INTEGER,
    request_id              TEXT NOT NULL,
    trace_id                TEXT NOT NULL,
    span_id                 TEXT NOT NULL,
    parent_span_id          TEXT NOT NULL,
    prompt_id               TEXT NOT NULL,
    agent_id                TEXT NOT NULL,
    received_unix_nano      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX evidence_record ON evidence (bucket, signal, digest);

-- Buckets with a span whose join window is still open.
CREATE TABLE waiting (
    bucket       TEXT PRIMARY KEY,
    due_unix_nano INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting_due ON waiting (due_unix_nano);

-- Append-only. Even revisions charge a call, odd ones take the charge back, with negative figures.
CREATE TABLE posting (
    id                      INTEGER PRIMARY KEY,
    identity                TEXT NOT NULL,
    revision                INTEGER NOT NULL,
    corrects                INTEGER, -- revision of the same identity that this one corrects
    reason                  TEXT NOT NULL,
    status                  TEXT NOT NULL,
    evidence                TEXT NOT NULL,
    record_digest           TEXT NOT NULL, -- the evidence that the figures are taken from
    sender_id               INTEGER NOT NULL REFERENCES sender,
    account_id              INTEGER NOT NULL REFERENCES account,
    price_id                INTEGER NOT NULL REFERENCES price,
    input                   INTEGER NOT NULL,
    output                  INTEGER NOT NULL,
    cache_read              INTEGER NOT NULL,
    cache_write_5m          INTEGER NOT NULL,
    cache_write_1h          INTEGER NOT NULL,
    cache_write_unspecified INTEGER NOT NULL,
    web_search              INTEGER NOT NULL,
    cost_picousd            INTEGER, -- NULL: unpriced
    client_cost_picousd     INTEGER, -- NULL: the signal reports none
    occurred_unix_nano      INTEGER NOT NULL,
    posted_unix_nano        INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX posting_revision ON posting (identity, revision);
CREATE TRIGGER posting_is_append_only BEFORE UPDATE ON posting
BEGIN
    SELECT RAISE(ABORT, 'postings are append-only: correct one with a new posting');
END;
CREATE TRIGGER posting_is_kept BEFORE DELETE ON posting
BEGIN
    SELECT RAISE(ABORT, 'postings are append-only: correct one with a new posting');
END;

-- Data points of the clients' own cost and token sums: control totals.
CREATE TABLE control_point (
    metric          TEXT NOT NULL,
    series          TEXT NOT NULL,
    start_unix_nano INTEGER NOT NULL,
    time_unix_nano  INTEGER NOT NULL,
    temporality     TEXT NOT NULL,
    amount          INTEGER NOT NULL, -- pico-USD or tokens
    sender_id       INTEGER NOT NULL REFERENCES sender,
    model           TEXT NOT NULL,
    query_class     TEXT NOT NULL,
    speed           TEXT NOT NULL,
    token_type      TEXT NOT NULL,
    received_unix_nano INTEGER NOT NULL,
    PRIMARY KEY (metric, series, start_unix_nano, time_unix_nano)
) STRICT, WITHOUT ROWID;

-- Payloads on their way out. A sealed body is enriched and never changes again, so every attempt sends the same bytes.
CREATE TABLE outbox (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    signal          TEXT NOT NULL,
    body            BLOB NOT NULL,
    ready_unix_nano INTEGER NOT NULL,
    sealed          INTEGER NOT NULL CHECK (sealed IN (0, 1)),
    refused         TEXT -- why the destination will never take it; kept for a person to look at
) STRICT;
CREATE INDEX outbox_unsealed ON outbox (ready_unix_nano) WHERE sealed = 0;
CREATE INDEX outbox_ready ON outbox (signal, id) WHERE sealed = 1 AND refused IS NULL;

-- Cumulative series: a fold of the postings up to meta 'series_posting_id'.
CREATE TABLE series (
    metric          TEXT NOT NULL,
    labels          TEXT NOT NULL, -- JSON array of [label, value]
    start_unix_nano INTEGER NOT NULL,
    value           TEXT NOT NULL, -- a whole number that may exceed 64 bits
    primed          INTEGER NOT NULL CHECK (primed IN (0, 1)),
    PRIMARY KEY (metric, labels)
) STRICT, WITHOUT ROWID;
