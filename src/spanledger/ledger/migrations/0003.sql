-- Schema 3: what changed the rates of a price row is kept with the price, the verdict with the posting.

CREATE TABLE price_with_modifiers (
    id              INTEGER PRIMARY KEY,
    price_book      TEXT NOT NULL,
    price_row       TEXT NOT NULL,
    rates           TEXT NOT NULL, -- pico-USD per token in the order of the token columns, a JSON array; '' if unpriced
    unpriced_reason TEXT NOT NULL,
    unpriced_detail TEXT NOT NULL,
    modifiers       TEXT NOT NULL, -- as people read them: 'fast, us_residency x1.1'
    UNIQUE (price_book, price_row, rates, unpriced_reason, unpriced_detail, modifiers)
) STRICT;
INSERT INTO price_with_modifiers
SELECT id, price_book, price_row, rates, unpriced_reason, unpriced_detail, '' FROM price;
DROP TABLE price;
ALTER TABLE price_with_modifiers RENAME TO price;

-- Why the client's figure is what it is; '' where there is none.
ALTER TABLE posting ADD COLUMN verdict TEXT NOT NULL DEFAULT '';

-- How long a call took, as its record says; 0 where it does not.
ALTER TABLE evidence ADD COLUMN duration_milliseconds INTEGER NOT NULL DEFAULT 0;
