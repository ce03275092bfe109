-- Decisions in order of time, those of one host, and those of one document; VEX documents that were read.

DROP INDEX triage_cve;
CREATE INDEX triage_cve ON triage (cve, ip) WHERE removed IS NULL;
CREATE INDEX triage_at ON triage (at, id);
CREATE INDEX triage_origin ON triage (origin) WHERE removed IS NULL AND origin <> '';

CREATE TABLE vex_document (
    id       text PRIMARY KEY,
    format   text NOT NULL CHECK (format IN ('openvex', 'cyclonedx')),
    author   text NOT NULL,
    version  int8 NOT NULL,
    issued   timestamptz,
    sha256   bytea NOT NULL,
    imported timestamptz NOT NULL,
    by       text NOT NULL
);
