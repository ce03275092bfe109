-- What happened is asked for by topic; and when each account last looked at what is new.

CREATE INDEX provenance_noun ON provenance (split_part(kind, '.', 1), seq) WHERE NOT starts_with(kind, 'observation.');

CREATE TABLE look (
    account text COLLATE "C" PRIMARY KEY,
    before  timestamptz NOT NULL,
    last    timestamptz NOT NULL
);
