-- Schema 12: defaults. What is kept of a sender beyond its own columns, because a configured default goes by it; and with
-- a price what was assumed.

CREATE TABLE sender_with_facts (
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
    service           TEXT NOT NULL,
    facts             TEXT NOT NULL, -- JSON array of [attribute, value]
    UNIQUE (session_id, user_id, user_email, user_account_uuid, organization_id, plan, seat_type, provider,
            client_version, labels, resource_digest, service, facts)
) STRICT;
INSERT INTO sender_with_facts SELECT sender.*, '[]' FROM sender;
DROP TABLE sender;
ALTER TABLE sender_with_facts RENAME TO sender;

CREATE TABLE price_with_assumed (
    id              INTEGER PRIMARY KEY,
    price_book      TEXT NOT NULL,
    price_row       TEXT NOT NULL,
    rates           TEXT NOT NULL, -- pico-USD per token in the order of the token columns, a JSON array; '' if unpriced
    list_rates      TEXT NOT NULL, -- the same at list; '' if the list has no price
    unpriced_reason TEXT NOT NULL,
    unpriced_detail TEXT NOT NULL,
    modifiers       TEXT NOT NULL, -- as people read them: 'fast, us_residency x1.1'
    bounds          TEXT NOT NULL, -- why the rates may be higher, a JSON array
    assumed         TEXT NOT NULL, -- what was configured and bears on the price, with its evidence, a JSON array
    UNIQUE (price_book, price_row, rates, list_rates, unpriced_reason, unpriced_detail, modifiers, bounds, assumed)
) STRICT;
INSERT INTO price_with_assumed SELECT price.*, '[]' FROM price;
DROP TABLE price;
ALTER TABLE price_with_assumed RENAME TO price;
