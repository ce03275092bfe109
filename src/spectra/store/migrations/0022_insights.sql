-- What agents concluded, as coordinators signed it, and what people decided about that.

CREATE TABLE insight_statement (
    sha256    text COLLATE "C" PRIMARY KEY,
    agent     text NOT NULL,
    keyid     text NOT NULL REFERENCES key,
    signature text NOT NULL,
    payload   text NOT NULL,
    issued    timestamptz NOT NULL,
    received  timestamptz NOT NULL
);

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
