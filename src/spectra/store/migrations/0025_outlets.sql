-- Where messages of alerts go. `turn` counts the workflows that sent what waited there, one after the other.

CREATE TABLE outlet (
    num       int8 GENERATED ALWAYS AS IDENTITY UNIQUE,
    name      text COLLATE "C" PRIMARY KEY,
    kind      text NOT NULL CHECK (kind IN ('xmpp', 'xmpp-room', 'webhook', 'email')),
    target    text NOT NULL,
    secret    text NOT NULL DEFAULT '',
    enabled   boolean NOT NULL,
    note      text NOT NULL DEFAULT '',
    created   timestamptz NOT NULL,
    changed   timestamptz NOT NULL,
    by        text NOT NULL,
    turn      int8 NOT NULL DEFAULT 0,
    tried     timestamptz,
    delivered timestamptz,
    error     text NOT NULL DEFAULT ''
) WITH (fillfactor = 80);
