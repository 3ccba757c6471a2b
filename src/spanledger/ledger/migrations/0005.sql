-- Schema 5: several destinations. A payload is stored once; what still has to go where, and what was refused there, are
-- rows of their own.

CREATE TABLE departure (
    destination TEXT NOT NULL,
    signal      TEXT NOT NULL,
    outbox_id   INTEGER NOT NULL REFERENCES outbox,
    size        INTEGER NOT NULL, -- bytes of the payload as it came: what the bound of the outbox counts
    PRIMARY KEY (destination, signal, outbox_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX departure_payload ON departure (outbox_id);

-- Payloads that a destination will never take, and why; kept for a person to look at, as long as the age limit says.
CREATE TABLE refusal (
    destination TEXT NOT NULL,
    outbox_id   INTEGER NOT NULL REFERENCES outbox,
    reason      TEXT NOT NULL,
    PRIMARY KEY (destination, outbox_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusal_payload ON refusal (outbox_id);

INSERT INTO departure SELECT 'default', signal, id, length(body) FROM outbox WHERE refused IS NULL;
INSERT INTO refusal SELECT 'default', id, refused FROM outbox WHERE refused IS NOT NULL;
DROP INDEX outbox_ready;
ALTER TABLE outbox DROP COLUMN refused;
ALTER TABLE outbox ADD COLUMN received_unix_nano INTEGER NOT NULL DEFAULT 0;
UPDATE outbox SET received_unix_nano = ready_unix_nano;
CREATE INDEX outbox_received ON outbox (received_unix_nano);

-- A series says 0 to each destination before its value; which have heard it, as a JSON array of names.
ALTER TABLE series ADD COLUMN primed_at TEXT NOT NULL DEFAULT '[]';
UPDATE series SET primed_at = '["default"]' WHERE primed = 1;
ALTER TABLE series DROP COLUMN primed;
