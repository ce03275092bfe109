-- The beginnings of versions and of hosts, in order of time: what a comparison of two moments walks along.

CREATE INDEX endpoint_since ON endpoint (since);
CREATE INDEX endpoint_version_since ON endpoint_version (since);
CREATE INDEX host_first_seen ON host (first_seen);
