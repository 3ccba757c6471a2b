-- Schema 7: who sent a record, by the name of its service.

CREATE TABLE sender_with_service (
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
    service           TEXT NOT NULL, -- service.name of the resource; '' also where an older ledger did not keep it
    UNIQUE (session_id, user_id, user_email, user_account_uuid, organization_id, plan, seat_type, provider,
            client_version, labels, resource_digest, service)
) STRICT;
INSERT INTO sender_with_service SELECT sender.*, '' FROM sender;
DROP TABLE sender;
ALTER TABLE sender_with_service RENAME TO sender;
