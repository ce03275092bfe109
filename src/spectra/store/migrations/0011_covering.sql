-- What questions about places and services read of an endpoint, so that the index alone answers them: a row of the table
-- is a page to be fetched for each match.
DROP INDEX endpoint_place;
CREATE INDEX endpoint_place ON endpoint (place, last_seen) INCLUDE (ip, port, protocol, service) WHERE state = 'o';
DROP INDEX endpoint_service;
CREATE INDEX endpoint_service ON endpoint (service, ip) INCLUDE (state, port, protocol, place, last_seen);

-- Times of discovery are sorted by, and asked for; equal ones share an entry.
CREATE INDEX endpoint_first_seen ON endpoint (first_seen);
