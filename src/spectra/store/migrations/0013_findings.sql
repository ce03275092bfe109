-- What services are by the names of their software, the weaknesses that follow, and what people decided about them.

CREATE TABLE software (
    id          int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint uuid NOT NULL UNIQUE,
    body        text NOT NULL,
    product     int4 NOT NULL DEFAULT 0,
    pending     int2 DEFAULT 0,
    matched     timestamptz
);
CREATE INDEX software_pending ON software (pending, product, id) WHERE pending IS NOT NULL;

CREATE TABLE software_product (
    product  int4 NOT NULL REFERENCES product,
    software int4 NOT NULL REFERENCES software ON DELETE CASCADE,
    PRIMARY KEY (product, software)
);
CREATE INDEX software_product_software ON software_product (software);

ALTER TABLE service ADD COLUMN software int4;
ALTER TABLE service ADD COLUMN words text[];
CREATE INDEX service_software ON service (software) WHERE software IS NOT NULL;
CREATE INDEX service_unnamed ON service (id) WHERE software IS NULL;
CREATE INDEX service_words ON service USING gin (words) WHERE software IS NOT NULL;

CREATE TABLE service_word (
    word text COLLATE "C" PRIMARY KEY,
    said text NOT NULL
);

CREATE TABLE reason (
    id        int8 PRIMARY KEY,
    product   int4 NOT NULL,
    criterion text NOT NULL,
    range     text NOT NULL,
    source    text NOT NULL,
    requires  text[] NOT NULL DEFAULT '{}'
);

CREATE TABLE affected (
    software   int4 NOT NULL,
    vuln       int4 NOT NULL,
    since      timestamptz NOT NULL,
    until      timestamptz,
    reason     int8 NOT NULL,
    confidence real NOT NULL,
    identity   int2 NOT NULL,
    patched    text NOT NULL DEFAULT ''
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX affected_open ON affected (software, vuln) WHERE until IS NULL;
CREATE INDEX affected_vuln ON affected (vuln, software) WHERE until IS NULL;
CREATE INDEX affected_past ON affected (software, vuln) WHERE until IS NOT NULL;
CREATE INDEX affected_past_vuln ON affected (vuln) WHERE until IS NOT NULL;
CREATE INDEX affected_since ON affected (since);
CREATE INDEX affected_until ON affected (until) WHERE until IS NOT NULL;

CREATE VIEW affected_by AS
SELECT a.software, a.vuln, a.since, a.until, r.product, a.identity, r.criterion, r.range, r.source, a.confidence,
       a.patched, r.requires
FROM affected a JOIN reason r ON r.id = a.reason;

CREATE TABLE vuln_news (
    num int4 PRIMARY KEY,
    at  timestamptz NOT NULL
);

CREATE TABLE correlation (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    matcher int4 NOT NULL,
    learned timestamptz,
    rules   int8 NOT NULL DEFAULT 0,
    walk    uuid
);

CREATE TABLE triage (
    id            uuid PRIMARY KEY,
    cve           text COLLATE "C" NOT NULL,
    ip            inet,
    port          int4,
    protocol      int2,
    cpe           text NOT NULL DEFAULT '',
    status        text NOT NULL CHECK (status IN
                    ('accepted', 'false_positive', 'not_affected', 'fixed', 'investigating', 'affected')),
    justification text NOT NULL DEFAULT '',
    note          text NOT NULL DEFAULT '',
    origin        text NOT NULL DEFAULT '',
    until         timestamptz,
    at            timestamptz NOT NULL,
    by            text NOT NULL,
    removed       timestamptz,
    removed_by    text NOT NULL DEFAULT '',
    CHECK ((port IS NULL) = (protocol IS NULL)),
    CHECK (ip IS NOT NULL OR port IS NULL)
);
CREATE INDEX triage_cve ON triage (cve) WHERE removed IS NULL;
CREATE INDEX triage_ip ON triage (ip) WHERE removed IS NULL AND ip IS NOT NULL;
