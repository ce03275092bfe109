-- People and machines that sign in: accounts, custom roles, sessions, the keys that sign access tokens.

CREATE TABLE role (
    name    text PRIMARY KEY,
    scopes  text[] NOT NULL,
    changed timestamptz NOT NULL,
    by      text NOT NULL
);

CREATE TABLE account (
    name        text PRIMARY KEY REFERENCES contributor,
    disabled    timestamptz,
    password    text NOT NULL DEFAULT '',
    password_at timestamptz,
    changed     timestamptz NOT NULL,
    by          text NOT NULL
);

CREATE TABLE session (
    id          uuid PRIMARY KEY,
    contributor text NOT NULL REFERENCES contributor,
    client_id   text NOT NULL,
    grant_type  text NOT NULL,
    scopes      text[],
    keyid       text REFERENCES key,
    source      inet,
    created     timestamptz NOT NULL,
    used        timestamptz NOT NULL,
    expires     timestamptz NOT NULL,
    revoked     timestamptz
);
CREATE INDEX session_contributor ON session (contributor, created DESC);
CREATE INDEX session_expires ON session (expires);

CREATE TABLE refresh_token (
    digest  bytea PRIMARY KEY,
    session uuid NOT NULL REFERENCES session ON DELETE CASCADE,
    expires timestamptz NOT NULL,
    used    timestamptz
);
CREATE INDEX refresh_token_session ON refresh_token (session);

CREATE TABLE token_key (
    kid        text PRIMARY KEY,
    public_key bytea NOT NULL,
    created    timestamptz NOT NULL,
    expires    timestamptz NOT NULL,
    revoked    timestamptz
);

CREATE TABLE issuer (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    name text NOT NULL
);

CREATE TABLE used_nonce (
    issuer  text NOT NULL,
    nonce   text NOT NULL,
    expires timestamptz NOT NULL,
    PRIMARY KEY (issuer, nonce)
);
CREATE INDEX used_nonce_expires ON used_nonce (expires);

CREATE TABLE login_throttle (
    subject bytea PRIMARY KEY,
    until   timestamptz NOT NULL
);
CREATE INDEX login_throttle_until ON login_throttle (until);
