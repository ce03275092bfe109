-- Rules about what changes, the alerts they made, what is left out, and the messages that people are sent.

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

CREATE TABLE alert_watch (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq     int8 NOT NULL,
    found   int8 NOT NULL,
    looked  timestamptz NOT NULL,
    started timestamptz NOT NULL
);

CREATE TABLE alert_known_kev (
    cve text COLLATE "C" PRIMARY KEY
);

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

CREATE TABLE notification (
    num     int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id      text COLLATE "C" NOT NULL UNIQUE,
    alert   text COLLATE "C" NOT NULL,
    at      timestamptz NOT NULL,
    message text NOT NULL
);
CREATE INDEX notification_alert ON notification (alert);
CREATE INDEX notification_at ON notification (at);

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

ALTER TABLE node_refusal ADD COLUMN alerted int8 NOT NULL DEFAULT 0;
