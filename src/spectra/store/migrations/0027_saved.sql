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
