-- The schema of the store: the truth. `tests/store/test_database.py` checks that the migrations lead to exactly this.
--
-- Conventions: times are timestamptz; protocols are IANA numbers (6 tcp, 17 udp, 132 sctp); states are one letter
-- (o open, c closed, f filtered); content-addressed rows have the first 16 bytes of their SHA-256 as uuid, so that a
-- writer knows the id without asking and two writers of the same content write the same row.

CREATE EXTENSION IF NOT EXISTS vector;

-- People and machines that submit ------------------------------------------------------------------------------------

CREATE TABLE contributor (
    name        text PRIMARY KEY,
    role        text NOT NULL,
    trust       real NOT NULL DEFAULT 1.0 CHECK (trust BETWEEN 0 AND 1),
    created     timestamptz NOT NULL
);

CREATE TABLE key (
    keyid       text PRIMARY KEY,
    contributor text NOT NULL REFERENCES contributor,
    public_key  bytea NOT NULL UNIQUE,
    created     timestamptz NOT NULL,
    expires     timestamptz,
    revoked     timestamptz,
    comment     text NOT NULL DEFAULT ''
);
CREATE INDEX key_contributor ON key (contributor);

-- API tokens: only the SHA-256 is stored.
CREATE TABLE credential (
    digest      bytea PRIMARY KEY,
    contributor text NOT NULL REFERENCES contributor,
    created     timestamptz NOT NULL,
    expires     timestamptz,
    revoked     timestamptz
);

-- Roles besides the built-in ones (identity/roles.py).
CREATE TABLE role (
    name    text PRIMARY KEY,
    scopes  text[] NOT NULL,
    changed timestamptz NOT NULL,
    by      text NOT NULL
);

-- Who may sign in, or was ever disabled. A contributor that only has keys has no row here. `password` is an argon2id
-- hash, empty for none; `by` is who changed the row last.
CREATE TABLE account (
    name        text PRIMARY KEY REFERENCES contributor,
    disabled    timestamptz,
    password    text NOT NULL DEFAULT '',
    password_at timestamptz,
    changed     timestamptz NOT NULL,
    by          text NOT NULL
);

-- One row a sign-in: the family of its refresh tokens (RFC 9700 section 4.14.2) and what its access tokens rest on.
CREATE TABLE session (
    id          uuid PRIMARY KEY,
    contributor text NOT NULL REFERENCES contributor,
    client_id   text NOT NULL,
    grant_type  text NOT NULL,
    scopes      text[], -- NULL: all that the role holds
    keyid       text REFERENCES key, -- signed in with this key; the session ends with it
    source      inet,
    created     timestamptz NOT NULL,
    used        timestamptz NOT NULL, -- the last refresh
    expires     timestamptz NOT NULL, -- of a browser's: moves on with its use
    revoked     timestamptz,
    cookie      bytea, -- SHA-256 of the secret in the cookie, of a browser's
    browser     bytea -- SHA-256 of what tells this browser from others that come from the same network
);
CREATE INDEX session_contributor ON session (contributor, created DESC);
CREATE INDEX session_expires ON session (expires);
CREATE UNIQUE INDEX session_cookie ON session (cookie);
CREATE INDEX session_browser ON session (browser, contributor);

-- Used ones stay until they expire: who shows one again has stolen it, or was stolen from.
CREATE TABLE refresh_token (
    digest  bytea PRIMARY KEY, -- SHA-256
    session uuid NOT NULL REFERENCES session ON DELETE CASCADE,
    expires timestamptz NOT NULL,
    used    timestamptz
);
CREATE INDEX refresh_token_session ON refresh_token (session);

-- What is asked for besides a password, or instead of it.
CREATE TABLE factor (
    id          uuid PRIMARY KEY,
    contributor text NOT NULL REFERENCES contributor,
    kind        text NOT NULL CHECK (kind IN ('totp', 'passkey')),
    name        text NOT NULL,
    created     timestamptz NOT NULL,
    used        timestamptz,
    counter     bigint NOT NULL DEFAULT 0, -- totp: the newest time step whose code was taken; passkey: its own count
    sealed      bytea, -- totp: the secret, encrypted with a key that the database does not have
    sealed_by   text, -- which key that is
    credential  bytea UNIQUE, -- passkey: its id, its public key (COSE) and how browsers reach it
    public_key  bytea,
    transports  text[]
);
CREATE INDEX factor_contributor ON factor (contributor);

-- Codes for who has lost their second factor: SHA-256, a row goes when it is used.
CREATE TABLE recovery_code (
    contributor text NOT NULL REFERENCES contributor,
    digest      bytea NOT NULL,
    PRIMARY KEY (contributor, digest)
);

-- What is good once and soon over: a set-up link, a sign-in that waits for its second factor, a factor being set up.
CREATE TABLE ticket (
    digest      bytea PRIMARY KEY, -- SHA-256 of the secret
    kind        text NOT NULL,
    contributor text REFERENCES contributor,
    detail      text NOT NULL,
    expires     timestamptz NOT NULL
);
CREATE INDEX ticket_contributor ON ticket (contributor, kind);
CREATE INDEX ticket_expires ON ticket (expires);

-- Devices that wait to be let in (RFC 8628). `contributor` decided, and let it in if `allowed`.
CREATE TABLE device_grant (
    digest      bytea PRIMARY KEY, -- SHA-256 of the device code
    user_code   text NOT NULL UNIQUE,
    client_id   text NOT NULL,
    scopes      text[], -- NULL: all that the role holds
    source      inet,
    created     timestamptz NOT NULL,
    expires     timestamptz NOT NULL,
    every_s     int2 NOT NULL, -- no sooner may it ask again
    polled      timestamptz,
    contributor text REFERENCES contributor,
    allowed     boolean
);
CREATE INDEX device_grant_expires ON device_grant (expires);

-- By which coordinators know the challenges that they gave to passkeys: one row.
CREATE TABLE challenge_key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    key bytea NOT NULL
);

-- Sign-ins that were refused, gathered by account ('' for names that nobody has) for an hour.
CREATE TABLE refused_sign_in (
    account text PRIMARY KEY,
    since   timestamptz NOT NULL,
    count   int NOT NULL,
    source  inet -- of the last
);

-- The public halves of the keys by which coordinators sign access tokens: each verifies what all of them signed.
CREATE TABLE token_key (
    kid        text PRIMARY KEY, -- SHA-256 of the public key, hex
    public_key bytea NOT NULL,
    created    timestamptz NOT NULL,
    expires    timestamptz NOT NULL,
    revoked    timestamptz
);

-- The `iss` of this mesh's tokens where the settings name none: one row.
CREATE TABLE issuer (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    name text NOT NULL
);

-- Single use of assertions (`jti`, RFC 7523 section 3) and of key statements, for as long as they could be replayed.
CREATE TABLE used_nonce (
    issuer  text NOT NULL,
    nonce   text NOT NULL,
    expires timestamptz NOT NULL,
    PRIMARY KEY (issuer, nonce)
);
CREATE INDEX used_nonce_expires ON used_nonce (expires);

-- Failed sign-ins as GCRA's theoretical arrival times: a row whose time is past says what no row says.
CREATE TABLE login_throttle (
    subject bytea PRIMARY KEY,
    until   timestamptz NOT NULL
);
CREATE INDEX login_throttle_until ON login_throttle (until);

-- Searches that people keep under a name, each for themselves.
CREATE TABLE saved_search (
    contributor text NOT NULL REFERENCES contributor,
    name        text NOT NULL,
    query       text NOT NULL,
    sort        text NOT NULL,
    created     timestamptz NOT NULL,
    changed     timestamptz NOT NULL,
    PRIMARY KEY (contributor, name)
);

-- Submissions ---------------------------------------------------------------------------------------------------------

-- One row an accepted envelope. UNIQUE (contributor, nonce) is the durable half of replay protection: it is written in
-- the transaction that accepts the envelope, so it survives restarts and forgets nothing. `header` is the canonical
-- payload without the output bytes, which are the blob: together they rebuild what was signed.
CREATE TABLE observation (
    seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    observation_id bytea NOT NULL UNIQUE,
    contributor    text NOT NULL REFERENCES contributor,
    nonce          text NOT NULL,
    keyid          text NOT NULL REFERENCES key,
    signature      text NOT NULL,
    header         text NOT NULL,
    received       timestamptz NOT NULL,
    trust          real NOT NULL,
    scan_id        text NOT NULL,
    scan_type      text NOT NULL,
    output_sha256  bytea NOT NULL,
    blob_sha256    bytea NOT NULL,
    status         text NOT NULL CHECK (status IN ('accepted', 'merged', 'failed')),
    attempts       int NOT NULL DEFAULT 0,
    workflow_id    text NOT NULL DEFAULT '',
    format         text NOT NULL DEFAULT '',
    facts          jsonb NOT NULL DEFAULT '{}',
    counts         jsonb NOT NULL DEFAULT '{}',
    problems       jsonb NOT NULL DEFAULT '[]',
    error          text NOT NULL DEFAULT '',
    swept          int4multirange NOT NULL DEFAULT '{}', -- protocol << 16 | port
    UNIQUE (contributor, nonce)
);
CREATE INDEX observation_received ON observation (received DESC, seq DESC);
CREATE INDEX observation_output ON observation (output_sha256);
CREATE INDEX observation_scan ON observation (scan_id);
CREATE INDEX observation_pending ON observation (seq) WHERE status = 'accepted';

-- The hash chain: hash = SHA-256(previous || entry || at). Rows are only ever inserted.
CREATE TABLE provenance (
    seq      bigint PRIMARY KEY,
    hash     bytea NOT NULL,
    previous bytea NOT NULL,
    at       text NOT NULL, -- RFC 3339, kept as text because the hash is over its characters
    kind     text NOT NULL,
    subject  text NOT NULL,
    entry    text NOT NULL
);
CREATE INDEX provenance_subject ON provenance (subject);
-- What is no submission: few among many.
CREATE INDEX provenance_act ON provenance (seq) WHERE NOT starts_with(kind, 'observation.');
CREATE INDEX provenance_noun ON provenance (split_part(kind, '.', 1), seq) WHERE NOT starts_with(kind, 'observation.');
-- What left this machine (store/aiegress.py).
CREATE INDEX provenance_left ON provenance (seq) WHERE kind = 'ai-egress';

-- When an account looked at what is new, the `last` time; what is new to it is what came since `before`, when it had
-- looked the time before.
CREATE TABLE look (
    account text COLLATE "C" PRIMARY KEY,
    before  timestamptz NOT NULL,
    last    timestamptz NOT NULL
);

-- The machines of the mesh -------------------------------------------------------------------------------------------

-- Roots of the built-in CA: those not retired are trusted. `intermediate` is the certificate that signs now; both
-- fingerprints are SHA-256 of the certificate (DER) in hex.
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

-- What was decided about each machine. A revoked one keeps its name for good. `keyid` signs its submissions, `spki` is
-- the SHA-256 of the public key (DER) of its newest certificate, in hex; `by` changed the row last. `changed` only grows.
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

-- Certificates that may still be in use, and the newest of each key that was (store/certificates.py).
CREATE TABLE node_certificate (
    serial     text PRIMARY KEY, -- decimal
    node       text COLLATE "C" NOT NULL REFERENCES node,
    spki       text NOT NULL,
    not_before timestamptz NOT NULL,
    not_after  timestamptz NOT NULL
);
CREATE INDEX node_certificate_node ON node_certificate (node, not_after);

-- Public keys that get no certificate and are let in nowhere any more, also those of a TPM.
CREATE TABLE revoked_key (
    spki   text PRIMARY KEY,
    node   text COLLATE "C" NOT NULL REFERENCES node,
    at     timestamptz NOT NULL,
    reason text NOT NULL
);
CREATE INDEX revoked_key_node ON revoked_key (node);

-- Join tokens by their `jti`, without the token. A single-use one names its node.
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

-- Who used them: the same key may come again with the same token, because its answer was lost.
CREATE TABLE join_token_use (
    token text NOT NULL REFERENCES join_token,
    spki  text NOT NULL,
    node  text COLLATE "C" NOT NULL REFERENCES node,
    PRIMARY KEY (token, spki)
);

-- What was heard: changes here, and each heartbeat in `node_beat`, which a crash of the server empties and the next
-- heartbeats fill again.
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

-- What machines tried and were refused, at most 1,000 rows; the oldest goes.
CREATE TABLE node_refusal (
    kind   text NOT NULL,
    who    text NOT NULL,
    count  int8 NOT NULL,
    first  timestamptz NOT NULL,
    last   timestamptz NOT NULL,
    detail text NOT NULL,
    alerted int8 NOT NULL DEFAULT 0, -- how many of them alerts were made of
    PRIMARY KEY (kind, who)
) WITH (fillfactor = 70);
CREATE INDEX node_refusal_last ON node_refusal (last);

-- What a node showed last. `versions` has that of each value of `state` that may change with one. `held`: what changed
-- stays refused until an admin releases the node. `ek` is the SHA-256 (hex) of its TPM's endorsement key (TPMT_PUBLIC)
-- and `ak` its attestation key (TPM2B_PUBLIC), both only once they were proved.
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

-- What later proofs are compared with; `at` is when it was accepted.
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

-- What nodes were asked and have not answered. `secret` is the SHA-256 of what a credential holds, made for the TPM of
-- `ek` and its key `ak` (TPM2B_PUBLIC). A crash of the server empties it: they ask again.
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

-- Free and Pro --------------------------------------------------------------------------------------------------------

-- What an admin decided of an account (until then, or for ever), and whether its owner wants to be on the leaderboard.
-- Rows stay, so that they can be held against the provenance chain.
CREATE TABLE tier (
    name    text PRIMARY KEY REFERENCES contributor,
    hand    text NOT NULL DEFAULT 'auto' CHECK (hand IN ('pro', 'free', 'auto')),
    until   timestamptz,
    listed  boolean NOT NULL DEFAULT true,
    changed timestamptz NOT NULL,
    by      text NOT NULL
);

-- How many endpoints an observation made fresh: one row each that did, written with its outcome, which tells it too.
CREATE TABLE ledger (
    observation bigint PRIMARY KEY,
    fresh       int4 NOT NULL CHECK (fresh > 0)
);

-- Its sums by the day (UTC) of receipt, kept in the same transaction: a standing is asked for with every answer.
CREATE TABLE ledger_day (
    contributor  text NOT NULL REFERENCES contributor,
    day          date NOT NULL,
    observations int4 NOT NULL,
    fresh        int8 NOT NULL,
    PRIMARY KEY (contributor, day)
) WITH (fillfactor = 70);
CREATE INDEX ledger_day_day ON ledger_day (day);

-- Limits, blocks, and what is never scanned ---------------------------------------------------------------------------

-- Token buckets, one row an account and kind of request. A row whose time has passed says what no row says: it is full.
-- Unlogged: a limit protects the node from load, and a crash may forget it.
CREATE UNLOGGED TABLE bucket (
    account text NOT NULL,
    kind    text NOT NULL,
    full_at timestamptz NOT NULL, -- when every token is back
    PRIMARY KEY (account, kind)
) WITH (fillfactor = 50);

-- Networks and autonomous systems that may not use the API; with `targets` they are not scanned either. Rows stay, so
-- that they can be held against the provenance chain.
CREATE TABLE block (
    id         uuid PRIMARY KEY,
    net        cidr,
    asn        int8,
    reason     text NOT NULL,
    targets    boolean NOT NULL,
    added      timestamptz NOT NULL,
    added_by   text NOT NULL,
    until      timestamptz,
    removed    timestamptz,
    removed_by text NOT NULL DEFAULT '',
    CHECK ((net IS NULL) <> (asn IS NULL))
);
CREATE INDEX block_standing ON block (added) WHERE removed IS NULL;

-- What strangers ask for. `contact` is for the admin alone: it is in no list, and not in the chain, which forgets nothing.
CREATE TABLE do_not_scan_request (
    id         uuid PRIMARY KEY,
    net        cidr NOT NULL,
    contact    text NOT NULL,
    reason     text NOT NULL,
    source     cidr NOT NULL, -- the network it came from
    received   timestamptz NOT NULL,
    status     text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected')),
    decided    timestamptz,
    decided_by text NOT NULL DEFAULT '',
    note       text NOT NULL DEFAULT ''
);
CREATE INDEX do_not_scan_request_received ON do_not_scan_request (received DESC, id DESC);
CREATE INDEX do_not_scan_request_pending ON do_not_scan_request (net, source) WHERE status = 'pending';

-- Networks that nobody of this mesh scans. Rows stay, as those of `block`.
CREATE TABLE do_not_scan (
    id         uuid PRIMARY KEY,
    net        cidr NOT NULL,
    reason     text NOT NULL,
    request    uuid, -- whose approval it is
    added      timestamptz NOT NULL,
    added_by   text NOT NULL,
    removed    timestamptz,
    removed_by text NOT NULL DEFAULT ''
);
CREATE INDEX do_not_scan_standing ON do_not_scan USING gist (net inet_ops) WHERE removed IS NULL;

-- Plans: who asked for what to look at again, and the moment that ages count from; targets are read from endpoint.
-- `selectors` and `lifetimes` (of that moment) are JSON; `min_age_s` NULL: by the lifetimes.
CREATE TABLE plan (
    id          text PRIMARY KEY,
    account     text NOT NULL,
    created     timestamptz NOT NULL,
    at          timestamptz NOT NULL,
    expires     timestamptz NOT NULL,
    selectors   text NOT NULL,
    lifetimes   text NOT NULL,
    min_age_s   int8,
    stale_total int8 NOT NULL,
    exact       boolean NOT NULL
);
CREATE INDEX plan_account ON plan (account, created DESC, id DESC);

-- Alerts ------------------------------------------------------------------------------------------------------------

-- `body` is JSON of model/alerts.py Rule. Until `looked` it was looked for what comes with time, such as certificates;
-- `trouble` is why the last look failed.
CREATE TABLE alert_rule (
    name    text COLLATE "C" PRIMARY KEY,
    body    text NOT NULL,
    enabled boolean NOT NULL,
    created timestamptz NOT NULL,
    changed timestamptz NOT NULL,
    by      text NOT NULL,
    looked  timestamptz,
    trouble text NOT NULL DEFAULT ''
);

-- How far the chain was looked through: for what is seen at hosts (`seq`), and for weaknesses of that, which are found a
-- little later (`found`). `looked` is when weaknesses, refusals and machines were looked at last. One row.
CREATE TABLE alert_watch (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq     int8 NOT NULL,
    found   int8 NOT NULL,
    looked  timestamptz NOT NULL,
    started timestamptz NOT NULL
);

-- What was in the KEV catalogue when it was looked at last.
CREATE TABLE alert_known_kev (
    cve text COLLATE "C" PRIMARY KEY
);

-- `severity` from 0, critical; `recent` is JSON of [seconds since 1970, times] of what happened lately; `untold` things
-- came since people were `told`. Who acknowledged it, and when it fired, is in the chain.
CREATE TABLE alert (
    num             int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              text COLLATE "C" NOT NULL UNIQUE,
    rule            text COLLATE "C" NOT NULL,
    key             text COLLATE "C" NOT NULL,
    kind            text COLLATE "C" NOT NULL,
    severity        int2 NOT NULL CHECK (severity BETWEEN 0 AND 4),
    title           text NOT NULL,
    state           text NOT NULL CHECK (state IN ('pending', 'firing', 'acknowledged', 'resolved')),
    first           timestamptz NOT NULL,
    last            timestamptz NOT NULL,
    changed         timestamptz NOT NULL,
    count           int8 NOT NULL,
    recent          jsonb NOT NULL DEFAULT '[]',
    why             text NOT NULL DEFAULT '',
    told            timestamptz,
    untold          int4 NOT NULL DEFAULT 0,
    acknowledged    timestamptz,
    acknowledged_by text NOT NULL DEFAULT '',
    comment         text NOT NULL DEFAULT '',
    resolved        timestamptz
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX alert_open ON alert (rule, key) WHERE state <> 'resolved';
CREATE INDEX alert_state ON alert (state, num);
CREATE INDEX alert_resolved ON alert (resolved) WHERE state = 'resolved';

-- What an alert tells of, at most model/alerts.py MAX_SUBJECTS each.
CREATE TABLE alert_subject (
    alert    int8 NOT NULL REFERENCES alert ON DELETE CASCADE,
    key      text COLLATE "C" NOT NULL,
    kind     text COLLATE "C" NOT NULL,
    ip       inet,
    port     int4 NOT NULL DEFAULT 0,
    protocol text COLLATE "C" NOT NULL DEFAULT '',
    cve      text COLLATE "C" NOT NULL DEFAULT '',
    name     text NOT NULL DEFAULT '',
    title    text NOT NULL,
    path     text NOT NULL,
    at       timestamptz NOT NULL,
    times    int8 NOT NULL,
    over     timestamptz,
    told     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (alert, key)
) WITH (fillfactor = 80);
CREATE INDEX alert_subject_key ON alert_subject (key) WHERE over IS NULL;

-- `body` is JSON of model/alerts.py Muting. Rows stay: they are held against the chain.
CREATE TABLE alert_mute (
    id         text COLLATE "C" PRIMARY KEY,
    body       text NOT NULL,
    until      timestamptz,
    at         timestamptz NOT NULL,
    by         text NOT NULL,
    removed    timestamptz,
    removed_by text NOT NULL DEFAULT ''
);
CREATE INDEX alert_mute_held ON alert_mute (at) WHERE removed IS NULL;

-- Messages; `message` is JSON of model/alerts.py Message, of the same `id`.
CREATE TABLE notification (
    num     int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id      text COLLATE "C" NOT NULL UNIQUE,
    alert   text COLLATE "C" NOT NULL,
    at      timestamptz NOT NULL,
    message text NOT NULL
);
CREATE INDEX notification_alert ON notification (alert);
CREATE INDEX notification_at ON notification (at);

-- The outbox of what sends them (flow/notifyflow.py): a row for each outlet, waiting until `next`.
CREATE TABLE delivery (
    notification int8 NOT NULL REFERENCES notification ON DELETE CASCADE,
    outlet       text COLLATE "C" NOT NULL,
    state        text NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed', 'dropped')),
    attempts     int4 NOT NULL DEFAULT 0,
    next         timestamptz,
    delivered    timestamptz,
    error        text NOT NULL DEFAULT '',
    PRIMARY KEY (notification, outlet),
    CHECK ((state = 'waiting') = (next IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX delivery_waiting ON delivery (next) WHERE state = 'waiting';
CREATE INDEX delivery_outlet ON delivery (outlet, notification);

-- Where messages of alerts go. `turn` counts the workflows that sent what waited there, one after the other.

CREATE TABLE outlet (
    num       int8 GENERATED ALWAYS AS IDENTITY UNIQUE,
    name      text COLLATE "C" PRIMARY KEY,
    kind      text NOT NULL CHECK (kind IN ('xmpp', 'xmpp-room', 'webhook', 'email')),
    target    text NOT NULL,
    secret    text NOT NULL DEFAULT '',
    enabled   boolean NOT NULL,
    note      text NOT NULL DEFAULT '',
    created   timestamptz NOT NULL,
    changed   timestamptz NOT NULL,
    by        text NOT NULL,
    turn      int8 NOT NULL DEFAULT 0,
    tried     timestamptz,
    delivered timestamptz,
    error     text NOT NULL DEFAULT ''
) WITH (fillfactor = 80);

-- Insights -----------------------------------------------------------------------------------------------------------

-- What a coordinator signed after a run of an agent: `payload` is the canonical JSON, `sha256` its hash in hex.
CREATE TABLE insight_statement (
    sha256    text COLLATE "C" PRIMARY KEY,
    agent     text NOT NULL,
    keyid     text NOT NULL REFERENCES key,
    signature text NOT NULL,
    payload   text NOT NULL,
    issued    timestamptz NOT NULL,
    received  timestamptz NOT NULL
);

-- Each insight once, in the words (`body`, canonical JSON) of the newest statement that has it; columns repeat what is
-- looked for. `severity` 0 is critical, 4 info. `decided`: when somebody resolved it, or it opened again by itself.
CREATE TABLE insight (
    id          text COLLATE "C" PRIMARY KEY,
    statement   text COLLATE "C" NOT NULL REFERENCES insight_statement,
    agent       text NOT NULL,
    kind        text NOT NULL,
    severity    int2 NOT NULL CHECK (severity BETWEEN 0 AND 4),
    subjects    text[] NOT NULL,
    body        text NOT NULL,
    first_seen  timestamptz NOT NULL,
    last_seen   timestamptz NOT NULL,
    times       int4 NOT NULL,
    state       text NOT NULL CHECK (state IN ('open', 'resolved')),
    resolution  text CHECK (resolution IN ('fixed', 'false_positive', 'accepted')),
    decided     timestamptz,
    decided_by  text NOT NULL DEFAULT '',
    comment     text NOT NULL DEFAULT '',
    CHECK ((state = 'resolved') = (resolution IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX insight_order ON insight (severity, last_seen DESC, id);
CREATE INDEX insight_subjects ON insight USING gin (subjects);
CREATE INDEX insight_statement_of ON insight (statement);

-- Work ---------------------------------------------------------------------------------------------------------------

-- What somebody asked to have scanned. `decision` is what people decided (on record; `by` did so last); a job without open
-- targets is `ended`, and from then on `counts` (JSON) holds. `preset` and `permission` are JSON, `tools` and `raw` the
-- preset's. Its targets are among those numbered `first` to `last`. `served`: when one of them was given last.
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

-- What one lease carries. In this state `since` then; while it waits nobody gets it before `not_before`. `attempts` count,
-- `returns` do not, `leases` numbers both. `lease` and `node` are the newest; machines in `excluded` never get it.
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

-- One attempt of one machine, open until it has `ended`. `heard`: when its machine last told of it.
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

-- What machines signed of their leases: one each, and no nonce twice. `payload` is the canonical JSON under `signature`.
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

-- Files of attempts; the bytes are blobs. `observation` is the one whose output it is, NULL: it is of all of the lease's.
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

-- `body` is the JSON of model/work.py Schedule without what the other columns say. Definitions are on record, runs are not.
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

-- What machines said of themselves when they asked for work, and how many of their attempts ended well or not.
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

-- Machines that are given nothing new, or were not at some time. Rows stay, so that they can be held against the chain.
CREATE TABLE worker_drain (
    node     text COLLATE "C" PRIMARY KEY REFERENCES node,
    draining boolean NOT NULL,
    changed  timestamptz NOT NULL,
    by       text NOT NULL
);

-- One row, once somebody has paused everything.
CREATE TABLE work_state (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    paused  boolean NOT NULL,
    reason  text NOT NULL,
    changed timestamptz NOT NULL,
    by      text NOT NULL
);

-- The coordinators that share this database: when each was heard of last.
CREATE TABLE coordinator (
    name    text COLLATE "C" PRIMARY KEY,
    api_url text NOT NULL,
    at      timestamptz NOT NULL
) WITH (fillfactor = 50);

-- What was said, once each --------------------------------------------------------------------------------------------

-- Reports on targets: where each stands, every time a model was asked for it, and the hosts and scans it tells of.

CREATE TABLE report (
    num      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id       text COLLATE "C" NOT NULL UNIQUE,
    kind     text NOT NULL CHECK (kind IN ('ip', 'host', 'query')),
    target   text NOT NULL,
    pattern  text COLLATE "C" NOT NULL,
    version  int NOT NULL,
    question text NOT NULL DEFAULT '',
    rules    boolean NOT NULL DEFAULT false,
    account  text NOT NULL,
    state    text NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'incomplete', 'finished', 'failed')),
    title    text NOT NULL DEFAULT '',
    made_by  text NOT NULL DEFAULT '' CHECK (made_by IN ('', 'model', 'rules', 'person')),
    why      text NOT NULL DEFAULT '',
    provider text NOT NULL DEFAULT '',
    model    text NOT NULL DEFAULT '',
    attempts int NOT NULL DEFAULT 0,
    created  timestamptz NOT NULL,
    changed  timestamptz NOT NULL,
    document bytea,
    size     bigint NOT NULL DEFAULT 0,
    facts    bytea,
    follows  bigint UNIQUE REFERENCES report,
    UNIQUE (kind, target, pattern, version)
);
CREATE INDEX report_open ON report (num) WHERE state IN ('waiting', 'running');
CREATE INDEX report_review ON report (num) WHERE state = 'incomplete';

-- What was asked (`prompt`: the blob of its instructions), what came back, and what did not hold about it.
CREATE TABLE report_attempt (
    report   bigint NOT NULL REFERENCES report,
    number   int NOT NULL,
    at       timestamptz NOT NULL,
    provider text NOT NULL,
    model    text NOT NULL,
    label    text NOT NULL,
    prompt   bytea,
    answer   bytea,
    reasons  text[] NOT NULL,
    PRIMARY KEY (report, number)
);

CREATE TABLE report_host (
    report bigint NOT NULL REFERENCES report,
    ip     inet NOT NULL,
    PRIMARY KEY (ip, report)
);
CREATE INDEX report_host_report ON report_host (report);

CREATE TABLE report_scan (
    report      bigint NOT NULL REFERENCES report,
    observation bigint NOT NULL,
    PRIMARY KEY (observation, report)
);
CREATE INDEX report_scan_report ON report_scan (report);

CREATE TABLE service (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    product    text NOT NULL,
    version    text NOT NULL,
    extra      text NOT NULL,
    os         text NOT NULL,
    device     text NOT NULL,
    tunnel     text NOT NULL,
    cpe        text[] NOT NULL, -- as the tool said
    first_seen timestamptz NOT NULL DEFAULT now(),
    cpe23      text[] NOT NULL DEFAULT '{}', -- what intel/enrich/cpe.py makes of all of it
    software   int4, -- what it is (table software); NULL: not looked at yet
    words      text[] -- the product words by which that was found out
);
CREATE INDEX service_name ON service (lower(name));
CREATE INDEX service_cpe23 ON service USING gin (cpe23);
CREATE INDEX service_software ON service (software) WHERE software IS NOT NULL;
CREATE INDEX service_unnamed ON service (id) WHERE software IS NULL;
CREATE INDEX service_words ON service USING gin (words) WHERE software IS NOT NULL;

CREATE TABLE banner (
    id         uuid PRIMARY KEY,
    text       text NOT NULL,
    title      text NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    -- Punctuation is cut first: the parser would take nginx/1.18.0 for a path and <b> for a tag. store/filters.py cuts
    -- what is searched for in the same way.
    words      tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', translate(title || ' ' || text,
                 '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 32)))) STORED
);
CREATE INDEX banner_words ON banner USING gin (words);

CREATE TABLE certificate (
    id         uuid PRIMARY KEY,
    sha256     bytea NOT NULL UNIQUE,
    subject_cn text NOT NULL,
    subject    text NOT NULL,
    issuer     text NOT NULL,
    sans       text[] NOT NULL,
    not_before timestamptz,
    not_after  timestamptz,
    serial     text NOT NULL,
    key        text NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now()
);
-- No index over names and words: see migration 0010.
CREATE INDEX certificate_not_after ON certificate (not_after);

-- Where hosts are and whose network that is, by the feeds (model/facts.py says what the columns hold).
CREATE TABLE place (
    id            uuid PRIMARY KEY,
    asn           int8 NOT NULL,
    org           text NOT NULL,
    country       text NOT NULL,
    country_name  text NOT NULL,
    region        text NOT NULL,
    city          text NOT NULL,
    cloud         text NOT NULL,
    cloud_service text NOT NULL,
    cloud_region  text NOT NULL,
    latitude      float8,
    longitude     float8,
    first_seen    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX place_asn ON place (asn);
CREATE INDEX place_country ON place (country);
CREATE INDEX place_city ON place (lower(city));
CREATE INDEX place_cloud ON place (cloud, cloud_region);

-- The feeds that say so, and the sets of their versions that answers rest on.
CREATE TABLE feed (
    name     text PRIMARY KEY,
    source   text NOT NULL, -- a URL, or 'upload'
    kind     text NOT NULL, -- geo, asn, cloud, as-names
    format   text NOT NULL,
    provider text NOT NULL,
    version  text NOT NULL, -- as the feed calls itself
    built    timestamptz, -- as the feed says
    sha256   bytea NOT NULL, -- of the original
    size     int8 NOT NULL, -- of the original, in bytes
    networks int8 NOT NULL,
    compiled bytea NOT NULL, -- the compiled table's address in the blob store
    updated  timestamptz NOT NULL, -- when this version was taken
    taken_by text NOT NULL, -- contributor, or 'schedule'
    previous jsonb, -- the version before, as store/feeds.py Version
    checked  timestamptz NOT NULL, -- the last attempt to get another
    error    text NOT NULL DEFAULT '', -- why that failed
    etag     text NOT NULL DEFAULT '',
    modified text NOT NULL DEFAULT '', -- Last-Modified, word for word
    lease    timestamptz -- until when one coordinator is fetching it
);

-- Never changed: a host's `feeds` is the id of the set that its place rests on. The newest set is the current one.
CREATE TABLE feed_set (
    id      int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest  bytea NOT NULL UNIQUE, -- SHA-256 over `feeds`, `created` and the set before
    feeds   jsonb NOT NULL, -- name -> version, sha256 (hex), updated
    created timestamptz NOT NULL
);

-- Hosts and what runs on them -----------------------------------------------------------------------------------------

-- A host's row is also the lock of everything below it: a writer upserts the host first, in order of ip.
-- `previous_seen` is last_seen before the newest upsert, which tells that writer whether it is late.
CREATE TABLE host (
    ip            inet PRIMARY KEY,
    first_seen    timestamptz NOT NULL,
    last_seen     timestamptz NOT NULL,
    previous_seen timestamptz,
    os            text NOT NULL DEFAULT '',
    os_at         timestamptz,
    mac           text NOT NULL DEFAULT '',
    vendor        text NOT NULL DEFAULT '',
    mac_at        timestamptz,
    place         uuid,
    feeds         int4 -- the feed set that `place` rests on; NULL: never looked up
);
CREATE INDEX host_place ON host (place) WHERE place IS NOT NULL;
CREATE INDEX host_first_seen ON host (first_seen);
CREATE INDEX host_os ON host (os) WHERE os <> '';
CREATE INDEX host_vendor ON host (vendor) WHERE vendor <> '';
CREATE INDEX host_mac ON host (mac text_pattern_ops) WHERE mac <> '';

CREATE TABLE hostname (
    ip         inet NOT NULL,
    name       text NOT NULL,
    kind       text NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL,
    PRIMARY KEY (ip, name, kind)
);
-- Reversed, so that example.org finds a.example.org with an index.
CREATE INDEX hostname_reversed ON hostname (reverse(name) text_pattern_ops);

-- Names seen without an address.
CREATE TABLE name (
    name       text PRIMARY KEY,
    first_seen timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL
);

-- The log of what was seen, never changed: one row a host and observation, the endpoints in parallel arrays
-- (`ports` is protocol << 16 | port, `states` one letter each). Versions are a fold over it (store/timeline.py).
-- No foreign keys: both sides are written in one transaction, and checking them would cost a third of an ingest.
CREATE TABLE sighting (
    ip           inet NOT NULL,
    seen_at      timestamptz NOT NULL,
    observation  bigint NOT NULL,
    rest         "char",
    ports        int4[] NOT NULL,
    states       text NOT NULL,
    services     uuid[],
    certificates uuid[],
    banners      uuid[],
    extra        text NOT NULL DEFAULT '' -- JSON of graph.Extra: names, remarks, os, mac; empty for most
);
CREATE INDEX sighting_host ON sighting (ip, seen_at);
CREATE INDEX sighting_observation ON sighting (observation);

-- Networks that were probed without an answer.
CREATE TABLE silence (
    net         cidr NOT NULL,
    seen_at     timestamptz NOT NULL,
    observation bigint NOT NULL
);
CREATE INDEX silence_net ON silence USING gist (net inet_ops);
CREATE INDEX silence_observation ON silence (observation);
CREATE INDEX silence_seen ON silence (seen_at DESC);

-- Of the hosts that were known by then, when each was last probed without an answer.
CREATE TABLE silent_host (
    ip      inet PRIMARY KEY,
    seen_at timestamptz NOT NULL
);

-- The newest version of each endpoint; the closed ones are in endpoint_version.
CREATE TABLE endpoint (
    ip          inet NOT NULL,
    port        int4 NOT NULL CHECK (port BETWEEN 0 AND 65535),
    protocol    int2 NOT NULL,
    state       "char" NOT NULL,
    service     uuid,
    certificate uuid,
    banner      uuid,
    since       timestamptz NOT NULL, -- first observation of this version
    confirmed   timestamptz NOT NULL, -- last observation of this version
    first_seen  timestamptz NOT NULL, -- first seen open
    last_seen   timestamptz NOT NULL, -- last seen open
    place       uuid, -- the host's, repeated so that questions of place need no join
    trust       real NOT NULL DEFAULT 1, -- of the most trusted who saw this version
    sole        text NOT NULL DEFAULT '', -- the one untrusted contributor who alone claims it
    doubt       text NOT NULL DEFAULT '', -- the untrusted contributor whose contradiction is held
    untrusted   boolean NOT NULL DEFAULT false, -- whether an untrusted contributor ever looked
    PRIMARY KEY (ip, port, protocol)
) WITH (fillfactor = 90);
CREATE INDEX endpoint_place ON endpoint (place, last_seen) INCLUDE (ip, port, protocol, service) WHERE state = 'o';
CREATE INDEX endpoint_port ON endpoint (port, ip);
CREATE INDEX endpoint_service ON endpoint (service, ip) INCLUDE (state, port, protocol, place, last_seen);
CREATE INDEX endpoint_banner ON endpoint (banner) WHERE banner IS NOT NULL;
CREATE INDEX endpoint_certificate ON endpoint (certificate) WHERE certificate IS NOT NULL;
CREATE INDEX endpoint_last_seen ON endpoint (last_seen DESC, ip, port, protocol);
CREATE INDEX endpoint_first_seen ON endpoint (first_seen);
CREATE INDEX endpoint_since ON endpoint (since); -- equal times share an entry: less than 2 % of an ingest

CREATE TABLE endpoint_version (
    ip          inet NOT NULL,
    port        int4 NOT NULL,
    protocol    int2 NOT NULL,
    state       "char" NOT NULL,
    service     uuid,
    certificate uuid,
    banner      uuid,
    since       timestamptz NOT NULL,
    confirmed   timestamptz NOT NULL,
    until       timestamptz NOT NULL, -- first observation of something else
    trust       real NOT NULL DEFAULT 1,
    sole        text NOT NULL DEFAULT '',
    doubt       text NOT NULL DEFAULT '',
    PRIMARY KEY (ip, port, protocol, since, until)
);
CREATE INDEX endpoint_version_since ON endpoint_version (since);

-- Everything else a tool said, once each, and where and when it was said; port 0 is the host itself.
CREATE TABLE remark (
    id       uuid PRIMARY KEY,
    kind     text NOT NULL,
    key      text NOT NULL,
    severity text NOT NULL,
    data     text NOT NULL
);
CREATE TABLE evidence (
    ip         inet NOT NULL,
    port       int4 NOT NULL,
    protocol   int2 NOT NULL,
    remark     uuid NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL,
    PRIMARY KEY (ip, port, protocol, remark)
);
CREATE INDEX evidence_remark ON evidence (remark);

-- The log of names seen without an address, and what was said about them.
CREATE TABLE name_sighting (
    name        text NOT NULL,
    seen_at     timestamptz NOT NULL,
    observation bigint NOT NULL,
    remarks     uuid[] NOT NULL
);
CREATE INDEX name_sighting_name ON name_sighting (name, seen_at);
CREATE INDEX name_sighting_observation ON name_sighting (observation);

-- Known weaknesses ----------------------------------------------------------------------------------------------------

-- One row a CVE: what questions filter and sort by. Narrow, because a day's EPSS changes most of it.
CREATE TABLE vuln (
    num             int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cve             text COLLATE "C" NOT NULL UNIQUE,
    sort            int8 NOT NULL, -- year * 10^9 + number: 2024-10000 comes after 2024-9999
    status          text NOT NULL DEFAULT '', -- model/vulns.py Status
    severity        text NOT NULL DEFAULT '',
    cvss            real, -- of the newest version that any source gives
    cvss_version    text NOT NULL DEFAULT '',
    epss            real, -- 0..1, as the table epss
    epss_percentile real,
    kev             date, -- in CISA's catalogue since
    ransomware      boolean NOT NULL DEFAULT false,
    exploitation    text NOT NULL DEFAULT '', -- by CISA's SSVC: none, poc, active
    risk            real NOT NULL DEFAULT 0, -- 0..100, of intel/priority.py
    published       timestamptz,
    modified        timestamptz,
    configured      text NOT NULL DEFAULT '', -- the source that says what is affected
    changed         timestamptz NOT NULL -- when we last learned something new of it
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX vuln_sort ON vuln (sort);
CREATE INDEX vuln_risk ON vuln (risk DESC, num);
CREATE INDEX vuln_cvss ON vuln (cvss);
CREATE INDEX vuln_epss ON vuln (epss);
CREATE INDEX vuln_kev ON vuln (kev) WHERE kev IS NOT NULL;
CREATE INDEX vuln_published ON vuln (published);
CREATE INDEX vuln_changed ON vuln (changed);

-- `details` is JSON of what else model/vulns.py Vuln holds; its configurations are in the record of the source `configured`.
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

-- What each source says, as it came: `body` is packed (store/packing.py) model/vulns.py VulnRecord, `digest` the SHA-256
-- of that in MessagePack. `configured` says whether it tells what is affected, `scored` whether it has a CVSS score.
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

-- Products by the names that feeds use; `word` is the name as intel/correlate looks it up, `family` the id of the one
-- product that stands for all names of the same software.
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

-- What each CVE says of each product: packed (store/packing.py) model/vulns.py Rule.configurations.
CREATE TABLE vuln_rule (
    product int4 NOT NULL REFERENCES product,
    num     int4 NOT NULL REFERENCES vuln ON DELETE CASCADE,
    body    bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (product, num)
);
CREATE INDEX vuln_rule_num ON vuln_rule (num);

-- What the catalogue and the scores say, also of CVEs that no source has told of yet.
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

-- The feeds of weaknesses: one row a feed. `since` is the newest change that was taken, for those that tell changes;
-- `running` the workflow that is at it, `lease` until when one coordinator has it to itself to begin one. `problems` is
-- JSON of the records that could not be read: how many, and the first of them.
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

-- What services are, and which weaknesses they have --------------------------------------------------------------------

-- What distinct services are: JSON of model/findings.py Software; `product` is that of its first name, so that what is
-- alike can be matched together. `pending`: its weaknesses have to be looked for, 0 for the first time, 1 again.
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

-- What the products of each word that services were named by said then: digest of their ids and counts.
CREATE TABLE service_word (
    word text COLLATE "C" PRIMARY KEY,
    said text NOT NULL
);

-- Why: shared by all software and CVEs that it holds for. The id is the hash of the rest.
CREATE TABLE reason (
    id        int8 PRIMARY KEY,
    product   int4 NOT NULL,
    criterion text NOT NULL,
    range     text NOT NULL,
    source    text NOT NULL,
    requires  text[] NOT NULL DEFAULT '{}'
);

-- AFFECTED_BY (model/findings.py Affected): once a software, never once a host. `since` is when we learned of it, `until`
-- when a source took it back; `identity` which of the software's names matched, from 0. Millions of rows with one writer:
-- narrow, and without foreign keys.
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

-- CVEs whose rules changed and that services were not held against since.
CREATE TABLE vuln_news (
    num int4 PRIMARY KEY,
    at  timestamptz NOT NULL
);

-- One row: by which matcher the findings were made; when products were last put into families; how often rules that
-- somebody may hold in memory went out of date; and up to which service all are being named again, if they are.
CREATE TABLE correlation (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    matcher int4 NOT NULL,
    learned timestamptz,
    rules   int8 NOT NULL DEFAULT 0,
    walk    uuid
);

-- What people or VEX documents decided. It holds for the endpoint, the host (no port) or every host (no ip), where `cpe`
-- is told only for that software. Rows stay, so that they can be held against the provenance chain.
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
CREATE INDEX triage_cve ON triage (cve, ip) WHERE removed IS NULL;
CREATE INDEX triage_ip ON triage (ip) WHERE removed IS NULL AND ip IS NOT NULL;
CREATE INDEX triage_at ON triage (at, id);
CREATE INDEX triage_origin ON triage (origin) WHERE removed IS NULL AND origin <> '';

-- VEX documents that were read, each as its newest version says; `id` is what decisions name as their origin. Rows are
-- held against the chain. `issued` is when it was last changed as it says, `sha256` that of its bytes.
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

-- Vectors of what is said of weaknesses --------------------------------------------------------------------------------

-- What makes vectors of texts (intel/embed, or a service). At most one is `ready` and answers, at most one is `filling` to
-- take its place. `place` is the host of a service, `blob` the SHA-256 of what was learned from `texts` texts; all changes
-- of weaknesses until `seen` are in its vectors. `done` of `total` texts have one.
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
    indexed boolean NOT NULL DEFAULT false, -- whether there is an index `vuln_vector_ID` (store/vectors.py)
    seen    timestamptz,
    created timestamptz NOT NULL,
    ready   timestamptz
);
CREATE UNIQUE INDEX embedder_filling ON embedder ((true)) WHERE state = 'filling';
CREATE UNIQUE INDEX embedder_ready ON embedder ((true)) WHERE state = 'ready';

-- `digest` is that of the text (intel/embed/texts.py). Each embedder that has many vectors has an HNSW index of its own,
-- made when it is filled and dropped with its vectors.
CREATE TABLE vuln_vector (
    embedder  int4 NOT NULL REFERENCES embedder,
    num       int4 NOT NULL REFERENCES vuln ON DELETE CASCADE,
    digest    bytea NOT NULL,
    embedding halfvec STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (num, embedder)
);

-- Language models ---------------------------------------------------------------------------------------------------

-- What was asked of models: one row a request, also of those that none answered (`provider` is empty then). No content.
-- `label` is the class it was asked under (model/ai.py Label), `cost` in the currency of the configured prices, `away`
-- whether it left this machine.
CREATE TABLE ai_call (
    num      int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL,
    account  text COLLATE "C" NOT NULL,
    purpose  text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    model    text COLLATE "C" NOT NULL,
    label    int2 NOT NULL CHECK (label BETWEEN 0 AND 2),
    outcome  text COLLATE "C" NOT NULL,
    input    int8 NOT NULL,
    output   int8 NOT NULL,
    cost     float8 NOT NULL,
    ms       int4 NOT NULL,
    away     boolean NOT NULL
);
CREATE INDEX ai_call_at ON ai_call (at);
CREATE INDEX ai_call_account ON ai_call (account, at);

-- What was used up of the budgets of a day (UTC), with what is held back for requests that are under way.
CREATE TABLE ai_spent (
    day    date NOT NULL,
    kind   text COLLATE "C" NOT NULL CHECK (kind IN ('account', 'provider')),
    name   text COLLATE "C" NOT NULL,
    tokens int8 NOT NULL,
    cost   float8 NOT NULL,
    PRIMARY KEY (day, kind, name)
) WITH (fillfactor = 50);

-- What is held back for requests that are under way, and counted in `ai_spent`.
CREATE TABLE ai_hold (
    id       uuid PRIMARY KEY,
    day      date NOT NULL,
    account  text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    tokens   int8 NOT NULL,
    cost     float8 NOT NULL,
    made     timestamptz NOT NULL
);
CREATE INDEX ai_hold_made ON ai_hold (made);

-- Answers that are kept for as long as the facts are the same that they were drawn from: those are in the key.
CREATE TABLE ai_answer (
    key   bytea PRIMARY KEY,
    value bytea NOT NULL,
    made  timestamptz NOT NULL,
    until timestamptz NOT NULL
);
CREATE INDEX ai_answer_made ON ai_answer (made);
CREATE INDEX ai_answer_until ON ai_answer (until);

-- Tallies: how many open endpoints and hosts there are, kept with the data (store/tallies.py) -------------------------

CREATE TABLE tally_log (
    places    uuid[] STORAGE EXTERNAL NOT NULL,
    services  uuid[] STORAGE EXTERNAL NOT NULL DEFAULT '{}',
    ports     int4[] STORAGE EXTERNAL NOT NULL DEFAULT '{}',
    protocols int2[] STORAGE EXTERNAL NOT NULL DEFAULT '{}',
    endpoints int4[] STORAGE EXTERNAL NOT NULL DEFAULT '{}',
    hosts     int4[] STORAGE EXTERNAL NOT NULL DEFAULT '{}'
);

CREATE TABLE tally_service (
    service   uuid,
    port      int4 NOT NULL,
    protocol  int2 NOT NULL,
    endpoints int8 NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX tally_service_key ON tally_service (service, port, protocol) NULLS NOT DISTINCT;
CREATE INDEX tally_service_port ON tally_service (port);

CREATE TABLE tally_kind (
    id      uuid PRIMARY KEY,
    name    text NOT NULL,
    tunnel  text NOT NULL,
    product text NOT NULL
);

CREATE TABLE tally_country (
    country   text COLLATE "C" NOT NULL,
    kind      uuid,
    port      int4 NOT NULL,
    protocol  int2 NOT NULL,
    endpoints int8 NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX tally_country_key ON tally_country (country, kind, port, protocol) NULLS NOT DISTINCT;
CREATE INDEX tally_country_kind ON tally_country (kind);
CREATE INDEX tally_country_port ON tally_country (port);

CREATE TABLE tally_place (
    place     uuid,
    endpoints int8 NOT NULL,
    hosts     int8 NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX tally_place_key ON tally_place (place) NULLS NOT DISTINCT;

CREATE TABLE tally_area (
    area      text COLLATE "C" NOT NULL,
    parent    text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    endpoints int8 NOT NULL,
    hosts     int8 NOT NULL,
    PRIMARY KEY (area, parent, name)
) WITH (fillfactor = 70);

CREATE FUNCTION tally_endpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO tally_log (places, services, ports, protocols, endpoints)
    SELECT array_agg(place), array_agg(service), array_agg(port), array_agg(protocol), array_agg(n)
    FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
      SELECT place, service, port, protocol, count(*)::int4 AS n
      FROM come WHERE state = 'o' GROUP BY place, service, port, protocol) counted) numbered GROUP BY piece;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO tally_log (places, services, ports, protocols, endpoints)
    SELECT array_agg(place), array_agg(service), array_agg(port), array_agg(protocol), array_agg(n)
    FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
      SELECT place, service, port, protocol, -count(*)::int4 AS n
      FROM gone WHERE state = 'o' GROUP BY place, service, port, protocol) counted) numbered GROUP BY piece;
  ELSE
    INSERT INTO tally_log (places, services, ports, protocols, endpoints)
    SELECT array_agg(place), array_agg(service), array_agg(port), array_agg(protocol), array_agg(n)
    FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
      SELECT place, service, port, protocol, sum(n)::int4 AS n FROM (
        SELECT place, service, port, protocol, 1 AS n FROM come WHERE state = 'o'
        UNION ALL SELECT place, service, port, protocol, -1 FROM gone WHERE state = 'o') both_sides
      GROUP BY place, service, port, protocol HAVING sum(n) <> 0) counted) numbered GROUP BY piece;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER tally_insert AFTER INSERT ON endpoint REFERENCING NEW TABLE AS come
  FOR EACH STATEMENT EXECUTE FUNCTION tally_endpoint();
CREATE TRIGGER tally_update AFTER UPDATE ON endpoint REFERENCING OLD TABLE AS gone NEW TABLE AS come
  FOR EACH STATEMENT EXECUTE FUNCTION tally_endpoint();
CREATE TRIGGER tally_delete AFTER DELETE ON endpoint REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION tally_endpoint();

CREATE FUNCTION tally_host() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO tally_log (places, hosts)
    SELECT array_agg(place), array_agg(n)
    FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
      SELECT place, count(*)::int4 AS n FROM come GROUP BY place) counted) numbered GROUP BY piece;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO tally_log (places, hosts)
    SELECT array_agg(place), array_agg(n)
    FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
      SELECT place, -count(*)::int4 AS n FROM gone GROUP BY place) counted) numbered GROUP BY piece;
  ELSE
    INSERT INTO tally_log (places, hosts)
    SELECT array_agg(place), array_agg(n)
    FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
      SELECT place, sum(n)::int4 AS n FROM (
        SELECT place, 1 AS n FROM come UNION ALL SELECT place, -1 FROM gone) both_sides
      GROUP BY place HAVING sum(n) <> 0) counted) numbered GROUP BY piece;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER tally_insert AFTER INSERT ON host REFERENCING NEW TABLE AS come
  FOR EACH STATEMENT EXECUTE FUNCTION tally_host();
CREATE TRIGGER tally_update AFTER UPDATE ON host REFERENCING OLD TABLE AS gone NEW TABLE AS come
  FOR EACH STATEMENT EXECUTE FUNCTION tally_host();
CREATE TRIGGER tally_delete AFTER DELETE ON host REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION tally_host();

-- The lock is that of store/tallies.py, which may be folding: what it adds would be missed otherwise.
CREATE FUNCTION tally_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1590100016);
  IF TG_TABLE_NAME = 'endpoint' THEN
    DELETE FROM tally_log WHERE endpoints <> '{}';
    DELETE FROM tally_service;
    DELETE FROM tally_country;
    UPDATE tally_place SET endpoints = 0;
    UPDATE tally_area SET endpoints = 0;
  ELSE
    DELETE FROM tally_log WHERE hosts <> '{}';
    UPDATE tally_place SET hosts = 0;
    UPDATE tally_area SET hosts = 0;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER tally_truncate AFTER TRUNCATE ON endpoint FOR EACH STATEMENT EXECUTE FUNCTION tally_truncate();
CREATE TRIGGER tally_truncate AFTER TRUNCATE ON host FOR EACH STATEMENT EXECUTE FUNCTION tally_truncate();
