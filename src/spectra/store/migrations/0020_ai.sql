-- Language models: what was asked of them and what it took, what has been spent of the budgets, and answers that are kept.

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

CREATE TABLE ai_spent (
    day    date NOT NULL,
    kind   text COLLATE "C" NOT NULL CHECK (kind IN ('account', 'provider')),
    name   text COLLATE "C" NOT NULL,
    tokens int8 NOT NULL,
    cost   float8 NOT NULL,
    PRIMARY KEY (day, kind, name)
) WITH (fillfactor = 50);

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

CREATE TABLE ai_answer (
    key   bytea PRIMARY KEY,
    value bytea NOT NULL,
    made  timestamptz NOT NULL,
    until timestamptz NOT NULL
);
CREATE INDEX ai_answer_made ON ai_answer (made);
CREATE INDEX ai_answer_until ON ai_answer (until);

CREATE INDEX provenance_left ON provenance (seq) WHERE kind = 'ai-egress';
