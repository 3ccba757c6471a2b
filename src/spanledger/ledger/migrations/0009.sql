-- Schema 9: contracts. What a call costs at list is kept beside what it is charged, and with a price what is open of it.

CREATE TABLE price_beside_list (
    id              INTEGER PRIMARY KEY,
    price_book      TEXT NOT NULL,
    price_row       TEXT NOT NULL,
    rates           TEXT NOT NULL, -- pico-USD per token in the order of the token columns, a JSON array; '' if unpriced
    list_rates      TEXT NOT NULL, -- the same at list; '' if the list has no price
    unpriced_reason TEXT NOT NULL,
    unpriced_detail TEXT NOT NULL,
    modifiers       TEXT NOT NULL, -- as people read them: 'fast, us_residency x1.1'
    bounds          TEXT NOT NULL, -- why the rates may be higher, a JSON array
    UNIQUE (price_book, price_row, rates, list_rates, unpriced_reason, unpriced_detail, modifiers, bounds)
) STRICT;
INSERT INTO price_beside_list
SELECT id, price_book, price_row, rates, rates, unpriced_reason, unpriced_detail, modifiers, '[]' FROM price;
DROP TABLE price;
ALTER TABLE price_beside_list RENAME TO price;

DROP TRIGGER posting_is_append_only;
ALTER TABLE posting ADD COLUMN list_cost_picousd INTEGER; -- NULL: the list has no price
UPDATE posting SET list_cost_picousd = cost_picousd;
CREATE TRIGGER posting_is_append_only BEFORE UPDATE ON posting
BEGIN
    SELECT RAISE(ABORT, 'postings are append-only: correct one with a new posting');
END;
