-- The machines of the mesh: who they are, what they may do, what was heard from them, and what was refused to them.

CREATE TABLE ca_root (
    fingerprint  text PRIMARY KEY,
    mesh         text NOT NULL,
    pem          text NOT NULL,
    intermediate text NOT NULL,
    created      timestamptz NOT NULL,
    retired      timestamptz,
    by           text NOT NULL
);

CREATE SEQUENCE node_change;

CREATE TABLE node (
    name     text COLLATE "C" PRIMARY KEY,
    uri      text NOT NULL,
    role     text NOT NULL CHECK (role IN ('worker', 'full', 'coordinator')),
    standing text NOT NULL CHECK (standing IN ('invited', 'active', 'quarantined', 'revoked')),
    reason   text NOT NULL DEFAULT '',
    by       text NOT NULL,
    created  timestamptz NOT NULL,
    joined   timestamptz,
    keyid    text REFERENCES key,
    spki     text,
    changed  int8 NOT NULL DEFAULT nextval('node_change')
);

CREATE TABLE node_certificate (
    serial     text PRIMARY KEY,
    node       text COLLATE "C" NOT NULL REFERENCES node,
    spki       text NOT NULL,
    not_before timestamptz NOT NULL,
    not_after  timestamptz NOT NULL
);
CREATE INDEX node_certificate_node ON node_certificate (node, not_after);

CREATE TABLE revoked_key (
    spki   text PRIMARY KEY,
    node   text COLLATE "C" NOT NULL REFERENCES node,
    at     timestamptz NOT NULL,
    reason text NOT NULL
);
CREATE INDEX revoked_key_node ON revoked_key (node);

CREATE TABLE join_token (
    id         text PRIMARY KEY,
    role       text NOT NULL CHECK (role IN ('worker', 'full')),
    name       text COLLATE "C" NOT NULL DEFAULT '',
    reusable   boolean NOT NULL,
    created    timestamptz NOT NULL,
    created_by text NOT NULL,
    expires    timestamptz NOT NULL,
    used       int4 NOT NULL DEFAULT 0,
    revoked    timestamptz
);
CREATE INDEX join_token_created ON join_token (created, id);
CREATE INDEX join_token_name ON join_token (name) WHERE revoked IS NULL AND used = 0 AND name <> '';

CREATE TABLE join_token_use (
    token text NOT NULL REFERENCES join_token,
    spki  text NOT NULL,
    node  text COLLATE "C" NOT NULL REFERENCES node,
    PRIMARY KEY (token, spki)
);

CREATE TABLE node_presence (
    node         text COLLATE "C" PRIMARY KEY REFERENCES node ON DELETE CASCADE,
    presence     text NOT NULL CHECK (presence IN ('never', 'alive', 'suspect', 'dead', 'left')),
    last_seen    timestamptz,
    transport    text CHECK (transport IN ('mqtt', 'nats')),
    capabilities jsonb
) WITH (fillfactor = 70);

CREATE UNLOGGED TABLE node_beat (
    node           text COLLATE "C" PRIMARY KEY REFERENCES node ON DELETE CASCADE,
    at             timestamptz NOT NULL,
    cpu            float8 NOT NULL,
    memory_free_mb int8 NOT NULL,
    tasks          int8 NOT NULL,
    skew_s         float8
) WITH (fillfactor = 40);

CREATE TABLE node_refusal (
    kind   text NOT NULL,
    who    text NOT NULL,
    count  int8 NOT NULL,
    first  timestamptz NOT NULL,
    last   timestamptz NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (kind, who)
) WITH (fillfactor = 70);
CREATE INDEX node_refusal_last ON node_refusal (last);
