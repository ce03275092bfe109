-- What services are by the names of their software, the weaknesses that follow, and what people decided about them.

CREATE TABLE software (
    id      uuid PRIMARY KEY,
    body    text NOT NULL,
    matched timestamptz
);
CREATE INDEX software_pending ON software (id) WHERE matched IS NULL;

CREATE TABLE software_product (
    product  int4 NOT NULL REFERENCES product,
    software uuid NOT NULL REFERENCES software ON DELETE CASCADE,
    PRIMARY KEY (product, software)
);
CREATE INDEX software_product_software ON software_product (software);

ALTER TABLE service ADD COLUMN software uuid;
CREATE INDEX service_software ON service (software) WHERE software IS NOT NULL;
CREATE INDEX service_unnamed ON service (id) WHERE software IS NULL;

CREATE TABLE affected (
    software   uuid NOT NULL REFERENCES software ON DELETE CASCADE,
    vuln       int4 NOT NULL REFERENCES vuln,
    since      timestamptz NOT NULL,
    until      timestamptz,
    product    int4 NOT NULL,
    cpe        text NOT NULL,
    criterion  text NOT NULL,
    range      text NOT NULL,
    source     text NOT NULL,
    confidence real NOT NULL,
    patched    text NOT NULL DEFAULT '',
    requires   text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (software, vuln, since)
);
CREATE INDEX affected_vuln ON affected (vuln, software) WHERE until IS NULL;
CREATE INDEX affected_since ON affected (since);
CREATE INDEX affected_until ON affected (until) WHERE until IS NOT NULL;

CREATE TABLE vuln_news (
    num int4 PRIMARY KEY REFERENCES vuln ON DELETE CASCADE,
    at  timestamptz NOT NULL
);

CREATE TABLE correlation (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    matcher int4 NOT NULL,
    learned timestamptz
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
