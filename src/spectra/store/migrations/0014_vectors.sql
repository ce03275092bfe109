-- Vectors of what is said of weaknesses, and what made them.

CREATE TABLE embedder (
    id      int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind    text NOT NULL CHECK (kind IN ('hashed', 'learned', 'service')),
    model   text NOT NULL,
    place   text NOT NULL DEFAULT '',
    dims    int4 NOT NULL CHECK (dims BETWEEN 1 AND 4000),
    blob    bytea,
    texts   int4 NOT NULL DEFAULT 0,
    state   text NOT NULL CHECK (state IN ('filling', 'ready', 'retired')),
    total   int4 NOT NULL DEFAULT 0,
    done    int4 NOT NULL DEFAULT 0,
    indexed boolean NOT NULL DEFAULT false,
    seen    timestamptz,
    created timestamptz NOT NULL,
    ready   timestamptz
);
CREATE UNIQUE INDEX embedder_filling ON embedder ((true)) WHERE state = 'filling';
CREATE UNIQUE INDEX embedder_ready ON embedder ((true)) WHERE state = 'ready';

CREATE TABLE vuln_vector (
    embedder  int4 NOT NULL REFERENCES embedder,
    num       int4 NOT NULL REFERENCES vuln ON DELETE CASCADE,
    digest    bytea NOT NULL,
    embedding halfvec STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (num, embedder)
);
