-- How the machines of the mesh showed their state, and what they are asked.

CREATE TABLE attestation (
    node     text COLLATE "C" PRIMARY KEY REFERENCES node,
    kind     text NOT NULL CHECK (kind IN ('tpm', 'statement')),
    at       timestamptz NOT NULL,
    ok       boolean NOT NULL,
    held     boolean NOT NULL,
    reason   text NOT NULL,
    state    jsonb NOT NULL,
    versions jsonb NOT NULL,
    ek       text,
    ak       bytea,
    CHECK ((ek IS NULL) = (ak IS NULL))
) WITH (fillfactor = 70);

CREATE TABLE accepted_state (
    node     text COLLATE "C" PRIMARY KEY REFERENCES node,
    kind     text NOT NULL CHECK (kind IN ('tpm', 'statement')),
    at       timestamptz NOT NULL,
    state    jsonb NOT NULL,
    versions jsonb NOT NULL,
    ek       text,
    ak       bytea,
    CHECK ((ek IS NULL) = (ak IS NULL))
);

CREATE UNLOGGED TABLE attestation_challenge (
    nonce   bytea PRIMARY KEY,
    node    text COLLATE "C" NOT NULL REFERENCES node,
    expires timestamptz NOT NULL,
    pcrs    int4[] NOT NULL,
    secret  bytea,
    ek      bytea,
    ak      bytea
);
CREATE INDEX attestation_challenge_node ON attestation_challenge (node, expires);
