-- Schema 8: what a call was made for is part of what it is booked under, so that cost can be told by purpose.

CREATE TABLE account_with_purpose (
    id              INTEGER PRIMARY KEY,
    basis           TEXT NOT NULL,
    user            TEXT NOT NULL,
    provider        TEXT NOT NULL,
    model           TEXT NOT NULL,
    served_model    TEXT NOT NULL,
    query_class     TEXT NOT NULL,
    speed           TEXT NOT NULL,
    client_version  TEXT NOT NULL,
    labels          TEXT NOT NULL,
    query_source    TEXT NOT NULL,
    effort          TEXT NOT NULL,
    agent_name      TEXT NOT NULL,
    skill_name      TEXT NOT NULL,
    mcp_server_name TEXT NOT NULL,
    UNIQUE (basis, user, provider, model, served_model, query_class, speed, client_version, labels,
            query_source, effort, agent_name, skill_name, mcp_server_name)
) STRICT;
INSERT INTO account_with_purpose
SELECT id, basis, user, provider, model, served_model, query_class, speed, client_version, labels, '', '', '', '', ''
FROM account;
DROP TABLE account;
ALTER TABLE account_with_purpose RENAME TO account;
