-- Schema 10: delta exports. What each destination was sent of a rising series, so that the next export says the rest.

CREATE TABLE delta (
    destination TEXT NOT NULL,
    metric      TEXT NOT NULL,
    labels      TEXT NOT NULL, -- as in series
    sent        TEXT NOT NULL, -- whole numbers that may exceed 64 bits: exported, confirmed or not
    in_flight   TEXT NOT NULL, -- in the export whose outcome is not known yet
    unconfirmed TEXT NOT NULL, -- of what was sent: the destination may lack it
    PRIMARY KEY (destination, metric, labels)
) STRICT, WITHOUT ROWID;
