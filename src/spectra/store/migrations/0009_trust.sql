-- How far each version of an endpoint is trusted.

ALTER TABLE endpoint ADD COLUMN trust real NOT NULL DEFAULT 1;
ALTER TABLE endpoint ADD COLUMN sole text NOT NULL DEFAULT '';
ALTER TABLE endpoint ADD COLUMN doubt text NOT NULL DEFAULT '';
ALTER TABLE endpoint ADD COLUMN untrusted boolean NOT NULL DEFAULT false;

ALTER TABLE endpoint_version ADD COLUMN trust real NOT NULL DEFAULT 1;
ALTER TABLE endpoint_version ADD COLUMN sole text NOT NULL DEFAULT '';
ALTER TABLE endpoint_version ADD COLUMN doubt text NOT NULL DEFAULT '';
