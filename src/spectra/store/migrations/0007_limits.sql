-- Limits, blocks, and what is never scanned.

CREATE UNLOGGED TABLE bucket (
    account text NOT NULL,
    kind    text NOT NULL,
    full_at timestamptz NOT NULL,
    PRIMARY KEY (account, kind)
) WITH (fillfactor = 50);

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

CREATE TABLE do_not_scan_request (
    id         uuid PRIMARY KEY,
    net        cidr NOT NULL,
    contact    text NOT NULL,
    reason     text NOT NULL,
    source     cidr NOT NULL,
    received   timestamptz NOT NULL,
    status     text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected')),
    decided    timestamptz,
    decided_by text NOT NULL DEFAULT '',
    note       text NOT NULL DEFAULT ''
);
CREATE INDEX do_not_scan_request_received ON do_not_scan_request (received DESC, id DESC);
CREATE INDEX do_not_scan_request_pending ON do_not_scan_request (net, source) WHERE status = 'pending';

CREATE TABLE do_not_scan (
    id         uuid PRIMARY KEY,
    net        cidr NOT NULL,
    reason     text NOT NULL,
    request    uuid,
    added      timestamptz NOT NULL,
    added_by   text NOT NULL,
    removed    timestamptz,
    removed_by text NOT NULL DEFAULT ''
);
CREATE INDEX do_not_scan_standing ON do_not_scan USING gist (net inet_ops) WHERE removed IS NULL;

-- What is no submission: few among many.
CREATE INDEX provenance_act ON provenance (seq) WHERE NOT starts_with(kind, 'observation.');
