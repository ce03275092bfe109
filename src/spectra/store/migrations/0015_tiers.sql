-- Free and Pro: what admins decided, and what accounts contributed.

CREATE TABLE tier (
    name    text PRIMARY KEY REFERENCES contributor,
    hand    text NOT NULL DEFAULT 'auto' CHECK (hand IN ('pro', 'free', 'auto')),
    until   timestamptz,
    listed  boolean NOT NULL DEFAULT true,
    changed timestamptz NOT NULL,
    by      text NOT NULL
);

CREATE TABLE ledger (
    observation bigint PRIMARY KEY,
    fresh       int4 NOT NULL CHECK (fresh > 0)
);

CREATE TABLE ledger_day (
    contributor  text NOT NULL REFERENCES contributor,
    day          date NOT NULL,
    observations int4 NOT NULL,
    fresh        int8 NOT NULL,
    PRIMARY KEY (contributor, day)
) WITH (fillfactor = 70);
CREATE INDEX ledger_day_day ON ledger_day (day);
