-- Plans, and what their pages and the numbers of coverage are read from.

CREATE TABLE plan (
    id          text PRIMARY KEY,
    account     text NOT NULL,
    created     timestamptz NOT NULL,
    at          timestamptz NOT NULL,
    expires     timestamptz NOT NULL,
    selectors   text NOT NULL,
    lifetimes   text NOT NULL,
    min_age_s   int8,
    stale_total int8 NOT NULL,
    exact       boolean NOT NULL
);
CREATE INDEX plan_account ON plan (account, created DESC, id DESC);

CREATE INDEX silence_seen ON silence (seen_at DESC);

CREATE TABLE silent_host (
    ip      inet PRIMARY KEY,
    seen_at timestamptz NOT NULL
);
INSERT INTO silent_host
SELECT h.ip, max(q.seen_at)
FROM silence q JOIN host h ON h.ip BETWEEN host(network(q.net))::inet AND host(broadcast(q.net))::inet
GROUP BY h.ip;
