-- Schema 4: tallies. What the records of a sender add up to besides cost: the client's own activity counters.

CREATE TABLE tally (
    sender_id INTEGER NOT NULL REFERENCES sender,
    metric    TEXT NOT NULL, -- of ours
    labels    TEXT NOT NULL, -- the metric's own, a JSON array of [label, value]
    amount    INTEGER NOT NULL,
    folded    INTEGER NOT NULL DEFAULT 0, -- how much of it the series hold
    PRIMARY KEY (sender_id, metric, labels)
) STRICT, WITHOUT ROWID;
CREATE INDEX tally_grown ON tally (sender_id) WHERE amount <> folded;

-- Sums that are in a tally: each delta point, and of each cumulative series the lowest and the highest value known.
CREATE TABLE known_sum (
    series          TEXT NOT NULL,
    start_unix_nano INTEGER NOT NULL,
    time_unix_nano  INTEGER NOT NULL, -- 0 for a cumulative series
    low             INTEGER NOT NULL,
    high            INTEGER NOT NULL,
    PRIMARY KEY (series, start_unix_nano, time_unix_nano)
) STRICT, WITHOUT ROWID;
