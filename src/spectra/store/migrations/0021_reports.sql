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
