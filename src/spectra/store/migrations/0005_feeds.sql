-- The feeds that say where hosts are, and the sets of their versions that answers rest on.

CREATE TABLE feed (
    name     text PRIMARY KEY,
    source   text NOT NULL, -- a URL, or 'upload'
    kind     text NOT NULL, -- geo, asn, cloud, as-names
    format   text NOT NULL,
    provider text NOT NULL,
    version  text NOT NULL, -- as the feed calls itself
    built    timestamptz, -- as the feed says
    sha256   bytea NOT NULL, -- of the original
    size     int8 NOT NULL, -- of the original, in bytes
    networks int8 NOT NULL,
    compiled bytea NOT NULL, -- the compiled table's address in the blob store
    updated  timestamptz NOT NULL, -- when this version was taken
    taken_by text NOT NULL, -- contributor, or 'schedule'
    previous jsonb, -- the version before, as store/feeds.py Version
    checked  timestamptz NOT NULL, -- the last attempt to get another
    error    text NOT NULL DEFAULT '', -- why that failed
    etag     text NOT NULL DEFAULT '',
    modified text NOT NULL DEFAULT '', -- Last-Modified, word for word
    lease    timestamptz -- until when one coordinator is fetching it
);

-- Never changed: a host's `feeds` is the id of the set that its place rests on. The newest set is the current one.
CREATE TABLE feed_set (
    id      int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest  bytea NOT NULL UNIQUE, -- SHA-256 over `feeds`, `created` and the set before
    feeds   jsonb NOT NULL, -- name -> version, sha256 (hex), updated
    created timestamptz NOT NULL
);
