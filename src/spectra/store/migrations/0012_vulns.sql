-- Known weaknesses, what each source says of them, and which products they concern.

CREATE TABLE vuln (
    num             int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cve             text COLLATE "C" NOT NULL UNIQUE,
    sort            int8 NOT NULL,
    status          text NOT NULL DEFAULT '',
    severity        text NOT NULL DEFAULT '',
    cvss            real,
    cvss_version    text NOT NULL DEFAULT '',
    epss            real,
    epss_percentile real,
    kev             date,
    ransomware      boolean NOT NULL DEFAULT false,
    exploitation    text NOT NULL DEFAULT '',
    risk            real NOT NULL DEFAULT 0,
    published       timestamptz,
    modified        timestamptz,
    configured      text NOT NULL DEFAULT '',
    changed         timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX vuln_sort ON vuln (sort);
CREATE INDEX vuln_risk ON vuln (risk DESC, num);
CREATE INDEX vuln_cvss ON vuln (cvss);
CREATE INDEX vuln_epss ON vuln (epss);
CREATE INDEX vuln_kev ON vuln (kev) WHERE kev IS NOT NULL;
CREATE INDEX vuln_published ON vuln (published);
CREATE INDEX vuln_changed ON vuln (changed);

CREATE TABLE vuln_text (
    num         int4 PRIMARY KEY REFERENCES vuln ON DELETE CASCADE,
    title       text NOT NULL,
    description text NOT NULL,
    details     text NOT NULL,
    weaknesses  text[] NOT NULL DEFAULT '{}', -- CWE ids
    words       tsvector NOT NULL GENERATED ALWAYS AS (
                  setweight(to_tsvector('english', title), 'A') || to_tsvector('english', description)) STORED
);
CREATE INDEX vuln_text_words ON vuln_text USING gin (words);
CREATE INDEX vuln_text_weaknesses ON vuln_text USING gin (weaknesses);

CREATE TABLE vuln_record (
    num        int4 NOT NULL REFERENCES vuln ON DELETE CASCADE,
    source     text NOT NULL,
    digest     bytea NOT NULL,
    modified   timestamptz,
    taken      timestamptz NOT NULL,
    configured boolean NOT NULL,
    scored     boolean NOT NULL,
    body       bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (num, source)
);
CREATE INDEX vuln_record_source ON vuln_record (source, num) INCLUDE (configured, scored);

CREATE TABLE product (
    id      int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    part    text COLLATE "C" NOT NULL,
    vendor  text COLLATE "C" NOT NULL,
    product text COLLATE "C" NOT NULL,
    word    text COLLATE "C" NOT NULL,
    vulns   int4 NOT NULL DEFAULT 0,
    family  int4 NOT NULL,
    UNIQUE (product, vendor, part)
);
CREATE INDEX product_word ON product (word);
CREATE INDEX product_family ON product (family);

CREATE TABLE vuln_rule (
    product int4 NOT NULL REFERENCES product,
    num     int4 NOT NULL REFERENCES vuln ON DELETE CASCADE,
    body    bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (product, num)
);
CREATE INDEX vuln_rule_num ON vuln_rule (num);

CREATE TABLE kev (
    cve   text COLLATE "C" PRIMARY KEY,
    added date NOT NULL,
    entry text NOT NULL
);

CREATE TABLE epss (
    cve        text COLLATE "C" PRIMARY KEY,
    score      real NOT NULL,
    percentile real
);

CREATE TABLE vuln_source (
    name     text PRIMARY KEY,
    kind     text NOT NULL,
    source   text NOT NULL,
    version  text NOT NULL DEFAULT '',
    built    timestamptz,
    sha256   bytea,
    size     int8 NOT NULL DEFAULT 0,
    records  int8 NOT NULL DEFAULT 0,
    problems text NOT NULL DEFAULT '{}',
    updated  timestamptz,
    taken_by text NOT NULL DEFAULT '',
    checked  timestamptz NOT NULL,
    error    text NOT NULL DEFAULT '',
    etag     text NOT NULL DEFAULT '',
    modified text NOT NULL DEFAULT '',
    since    timestamptz,
    running  text NOT NULL DEFAULT '',
    lease    timestamptz
);
