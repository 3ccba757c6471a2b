-- Schema 2: residuals. Calls and control points of a group (a session, else resource and user) are held against each
-- other; what the points hold beyond the calls is posted.

CREATE INDEX evidence_sender ON evidence (sender_id, time_unix_nano);
CREATE INDEX posting_unpriced ON posting (sender_id, occurred_unix_nano) WHERE cost_picousd IS NULL;
CREATE INDEX control_point_sender ON control_point (sender_id, time_unix_nano);

-- Groups in which something came, the time that it is of, and when to look at it.
CREATE TABLE unreconciled (
    due_unix_nano   INTEGER NOT NULL,
    group_key       TEXT NOT NULL,
    sender_id       INTEGER NOT NULL REFERENCES sender, -- one of the group
    start_unix_nano INTEGER NOT NULL,
    end_unix_nano   INTEGER NOT NULL,
    PRIMARY KEY (due_unix_nano, group_key)
) STRICT, WITHOUT ROWID;

-- Identities under which residuals were ever posted, and the interval that they are of.
CREATE TABLE residual (
    identity        TEXT PRIMARY KEY,
    group_key       TEXT NOT NULL,
    start_unix_nano INTEGER NOT NULL,
    end_unix_nano   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX residual_group ON residual (group_key, end_unix_nano);

-- Names asked for that are no model's, by user, and the models that were served under them.
CREATE TABLE alias (
    user_id TEXT NOT NULL,
    asked   TEXT NOT NULL,
    served  TEXT NOT NULL,
    PRIMARY KEY (user_id, asked, served)
) STRICT, WITHOUT ROWID;
