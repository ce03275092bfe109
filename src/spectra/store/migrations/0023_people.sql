-- People at a browser: sessions by cookie, second factors, devices that wait to be let in, and what is good once.

ALTER TABLE session ADD COLUMN cookie bytea;
ALTER TABLE session ADD COLUMN browser bytea;
CREATE UNIQUE INDEX session_cookie ON session (cookie);
CREATE INDEX session_browser ON session (browser, contributor);

CREATE TABLE factor (
    id          uuid PRIMARY KEY,
    contributor text NOT NULL REFERENCES contributor,
    kind        text NOT NULL CHECK (kind IN ('totp', 'passkey')),
    name        text NOT NULL,
    created     timestamptz NOT NULL,
    used        timestamptz,
    counter     bigint NOT NULL DEFAULT 0,
    sealed      bytea,
    sealed_by   text,
    credential  bytea UNIQUE,
    public_key  bytea,
    transports  text[]
);
CREATE INDEX factor_contributor ON factor (contributor);

CREATE TABLE recovery_code (
    contributor text NOT NULL REFERENCES contributor,
    digest      bytea NOT NULL,
    PRIMARY KEY (contributor, digest)
);

CREATE TABLE ticket (
    digest      bytea PRIMARY KEY,
    kind        text NOT NULL,
    contributor text REFERENCES contributor,
    detail      text NOT NULL,
    expires     timestamptz NOT NULL
);
CREATE INDEX ticket_contributor ON ticket (contributor, kind);
CREATE INDEX ticket_expires ON ticket (expires);

CREATE TABLE device_grant (
    digest      bytea PRIMARY KEY,
    user_code   text NOT NULL UNIQUE,
    client_id   text NOT NULL,
    scopes      text[],
    source      inet,
    created     timestamptz NOT NULL,
    expires     timestamptz NOT NULL,
    every_s     int2 NOT NULL,
    polled      timestamptz,
    contributor text REFERENCES contributor,
    allowed     boolean
);
CREATE INDEX device_grant_expires ON device_grant (expires);

CREATE TABLE challenge_key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    key bytea NOT NULL
);

CREATE TABLE refused_sign_in (
    account text PRIMARY KEY,
    since   timestamptz NOT NULL,
    count   int NOT NULL,
    source  inet
);
