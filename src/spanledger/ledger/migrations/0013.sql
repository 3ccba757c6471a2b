-- Schema 13: who was authenticated as the sender. Both stand in the resource too, so its digest tells them apart.

ALTER TABLE sender ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
ALTER TABLE sender ADD COLUMN tenant_email TEXT NOT NULL DEFAULT '';
