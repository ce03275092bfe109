-- Work: jobs and their targets, the leases under which machines scan them, the results, and who shares in handing out.

CREATE TABLE job (
    num        int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text COLLATE "C" NOT NULL UNIQUE,
    account    text NOT NULL,
    created    timestamptz NOT NULL,
    decision   text NOT NULL DEFAULT 'running' CHECK (decision IN ('running', 'paused', 'cancelled')),
    reason     text NOT NULL DEFAULT '',
    changed    timestamptz NOT NULL,
    by         text NOT NULL,
    what       text NOT NULL,
    preset     text NOT NULL,
    tools      text[] NOT NULL,
    raw        boolean NOT NULL,
    ports      text NOT NULL,
    rate       int4 NOT NULL,
    priority   int4 NOT NULL,
    scan_id    text NOT NULL,
    permission text NOT NULL,
    node       text COLLATE "C" NOT NULL,
    region     text NOT NULL,
    relay      boolean NOT NULL,
    windows    text[] NOT NULL,
    schedule   text COLLATE "C" NOT NULL,
    left_out   text[] NOT NULL,
    addresses  int8 NOT NULL,
    total      int4 NOT NULL,
    first      int8 NOT NULL,
    last       int8 NOT NULL,
    served     timestamptz NOT NULL DEFAULT '-infinity',
    ended      timestamptz,
    counts     text
) WITH (fillfactor = 70);
CREATE INDEX job_turn ON job (priority DESC, served, num) WHERE decision = 'running' AND ended IS NULL;
CREATE INDEX job_open ON job (num) WHERE counts IS NULL;
CREATE INDEX job_scan ON job (scan_id);
CREATE INDEX job_account ON job (account, num);

CREATE TABLE target (
    num        int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job        int8 NOT NULL REFERENCES job,
    targets    text[] NOT NULL,
    ports      text NOT NULL,
    network    text COLLATE "C" NOT NULL,
    addresses  int4 NOT NULL,
    state      text COLLATE "C" NOT NULL DEFAULT 'waiting'
                 CHECK (state IN ('waiting', 'leased', 'submitted', 'done', 'review', 'cancelled')),
    since      timestamptz NOT NULL,
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    attempts   int4 NOT NULL DEFAULT 0,
    returns    int4 NOT NULL DEFAULT 0,
    leases     int4 NOT NULL DEFAULT 0,
    lease      uuid,
    node       text COLLATE "C" NOT NULL DEFAULT '',
    excluded   text[] NOT NULL DEFAULT '{}',
    found      int4 NOT NULL DEFAULT 0,
    findings   int4 NOT NULL DEFAULT 0,
    reason     text NOT NULL DEFAULT ''
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX target_job ON target (job, state, num);
CREATE INDEX target_waiting ON target (job, not_before, num) WHERE state = 'waiting';
CREATE INDEX target_network ON target (job, network, not_before, num) WHERE state = 'waiting';
CREATE INDEX target_submitted ON target (since, num) WHERE state = 'submitted';
CREATE INDEX target_review ON target (num) WHERE state = 'review';

CREATE TABLE lease (
    id           uuid PRIMARY KEY,
    target       int8 NOT NULL REFERENCES target,
    attempt      int4 NOT NULL,
    node         text COLLATE "C" NOT NULL,
    network      text COLLATE "C" NOT NULL,
    leased       timestamptz NOT NULL,
    heard        timestamptz NOT NULL,
    ended        timestamptz,
    "end"        text NOT NULL DEFAULT '',
    fraction     real NOT NULL DEFAULT 0,
    found        int8 NOT NULL DEFAULT 0,
    note         text NOT NULL DEFAULT '',
    reason       text NOT NULL DEFAULT '',
    message      text NOT NULL DEFAULT '',
    tool         text NOT NULL DEFAULT '',
    tool_version text NOT NULL DEFAULT '',
    stats        text
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX lease_target ON lease (target, attempt);
CREATE UNIQUE INDEX lease_open ON lease (target) WHERE ended IS NULL;
CREATE INDEX lease_node ON lease (node) WHERE ended IS NULL;
CREATE INDEX lease_network ON lease (network) WHERE ended IS NULL AND network <> '';

CREATE TABLE result (
    lease     uuid PRIMARY KEY REFERENCES lease,
    node      text COLLATE "C" NOT NULL,
    nonce     text NOT NULL,
    verdict   text NOT NULL CHECK (verdict IN ('accepted', 'late')),
    outcome   text NOT NULL CHECK (outcome IN ('done', 'partial', 'failed', 'refused')),
    payload   text NOT NULL,
    signature text NOT NULL,
    keyid     text NOT NULL,
    received  timestamptz NOT NULL,
    UNIQUE (node, nonce)
);

CREATE TABLE result_observation (
    lease       uuid NOT NULL REFERENCES result,
    observation int8 NOT NULL REFERENCES observation,
    PRIMARY KEY (lease, observation)
);
CREATE INDEX result_observation_observation ON result_observation (observation);

CREATE TABLE artefact (
    num         int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lease       uuid NOT NULL REFERENCES lease,
    target      int8 NOT NULL REFERENCES target,
    job         int8 NOT NULL REFERENCES job,
    kind        text NOT NULL CHECK (kind IN ('log', 'raw', 'capture')),
    name        text NOT NULL,
    media_type  text NOT NULL,
    sha256      bytea NOT NULL,
    size        int8 NOT NULL,
    created     timestamptz NOT NULL,
    observation int8 REFERENCES observation
);
CREATE INDEX artefact_lease ON artefact (lease, num);
CREATE INDEX artefact_target ON artefact (target, num);
CREATE INDEX artefact_job ON artefact (job, num);

CREATE TABLE schedule (
    name       text COLLATE "C" PRIMARY KEY,
    body       text NOT NULL,
    account    text NOT NULL,
    created    timestamptz NOT NULL,
    changed    timestamptz NOT NULL,
    by         text NOT NULL,
    next_run   timestamptz,
    last_run   timestamptz,
    last_job   text NOT NULL DEFAULT '',
    last_error text NOT NULL DEFAULT ''
) WITH (fillfactor = 70);
CREATE INDEX schedule_due ON schedule (next_run);

CREATE TABLE worker (
    node          text COLLATE "C" PRIMARY KEY REFERENCES node ON DELETE CASCADE,
    slots         int4 NOT NULL DEFAULT 0,
    free          int4 NOT NULL DEFAULT 0,
    spooled       int8 NOT NULL DEFAULT 0,
    spooled_bytes int8 NOT NULL DEFAULT 0,
    spool_full    boolean NOT NULL DEFAULT false,
    last_asked    timestamptz,
    done          int8 NOT NULL DEFAULT 0,
    failed        int8 NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE worker_drain (
    node     text COLLATE "C" PRIMARY KEY REFERENCES node,
    draining boolean NOT NULL,
    changed  timestamptz NOT NULL,
    by       text NOT NULL
);

CREATE TABLE work_state (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    paused  boolean NOT NULL,
    reason  text NOT NULL,
    changed timestamptz NOT NULL,
    by      text NOT NULL
);

CREATE TABLE coordinator (
    name    text COLLATE "C" PRIMARY KEY,
    api_url text NOT NULL,
    at      timestamptz NOT NULL
) WITH (fillfactor = 50);
