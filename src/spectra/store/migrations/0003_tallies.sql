-- How many open endpoints and hosts there are, kept with the data: see store/tallies.py.

CREATE TABLE tally_log (
    places    uuid[] STORAGE EXTERNAL NOT NULL,
    services  uuid[] STORAGE EXTERNAL NOT NULL DEFAULT '{}',
    ports     int4[] STORAGE EXTERNAL NOT NULL DEFAULT '{}',
    protocols int2[] STORAGE EXTERNAL NOT NULL DEFAULT '{}',
    endpoints int4[] STORAGE EXTERNAL NOT NULL DEFAULT '{}',
    hosts     int4[] STORAGE EXTERNAL NOT NULL DEFAULT '{}'
);

CREATE TABLE tally_service (
    service   uuid,
    port      int4 NOT NULL,
    protocol  int2 NOT NULL,
    endpoints int8 NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX tally_service_key ON tally_service (service, port, protocol) NULLS NOT DISTINCT;
CREATE INDEX tally_service_port ON tally_service (port);

CREATE TABLE tally_kind (
    id      uuid PRIMARY KEY,
    name    text NOT NULL,
    tunnel  text NOT NULL,
    product text NOT NULL
);

CREATE TABLE tally_country (
    country   text COLLATE "C" NOT NULL,
    kind      uuid,
    port      int4 NOT NULL,
    protocol  int2 NOT NULL,
    endpoints int8 NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX tally_country_key ON tally_country (country, kind, port, protocol) NULLS NOT DISTINCT;
CREATE INDEX tally_country_kind ON tally_country (kind);
CREATE INDEX tally_country_port ON tally_country (port);

CREATE TABLE tally_place (
    place     uuid,
    endpoints int8 NOT NULL,
    hosts     int8 NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX tally_place_key ON tally_place (place) NULLS NOT DISTINCT;

CREATE TABLE tally_area (
    area      text COLLATE "C" NOT NULL,
    parent    text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    endpoints int8 NOT NULL,
    hosts     int8 NOT NULL,
    PRIMARY KEY (area, parent, name)
) WITH (fillfactor = 70);

CREATE FUNCTION tally_endpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO tally_log (places, services, ports, protocols, endpoints)
    SELECT array_agg(place), array_agg(service), array_agg(port), array_agg(protocol), array_agg(n)
    FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
      SELECT place, service, port, protocol, count(*)::int4 AS n
      FROM come WHERE state = 'o' GROUP BY place, service, port, protocol) counted) numbered GROUP BY piece;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO tally_log (places, services, ports, protocols, endpoints)
    SELECT array_agg(place), array_agg(service), array_agg(port), array_agg(protocol), array_agg(n)
    FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
      SELECT place, service, port, protocol, -count(*)::int4 AS n
      FROM gone WHERE state = 'o' GROUP BY place, service, port, protocol) counted) numbered GROUP BY piece;
  ELSE
    INSERT INTO tally_log (places, services, ports, protocols, endpoints)
    SELECT array_agg(place), array_agg(service), array_agg(port), array_agg(protocol), array_agg(n)
    FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
      SELECT place, service, port, protocol, sum(n)::int4 AS n FROM (
        SELECT place, service, port, protocol, 1 AS n FROM come WHERE state = 'o'
        UNION ALL SELECT place, service, port, protocol, -1 FROM gone WHERE state = 'o') both_sides
      GROUP BY place, service, port, protocol HAVING sum(n) <> 0) counted) numbered GROUP BY piece;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER tally_insert AFTER INSERT ON endpoint REFERENCING NEW TABLE AS come
  FOR EACH STATEMENT EXECUTE FUNCTION tally_endpoint();
CREATE TRIGGER tally_update AFTER UPDATE ON endpoint REFERENCING OLD TABLE AS gone NEW TABLE AS come
  FOR EACH STATEMENT EXECUTE FUNCTION tally_endpoint();
CREATE TRIGGER tally_delete AFTER DELETE ON endpoint REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION tally_endpoint();

CREATE FUNCTION tally_host() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO tally_log (places, hosts)
    SELECT array_agg(place), array_agg(n)
    FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
      SELECT place, count(*)::int4 AS n FROM come GROUP BY place) counted) numbered GROUP BY piece;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO tally_log (places, hosts)
    SELECT array_agg(place), array_agg(n)
    FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
      SELECT place, -count(*)::int4 AS n FROM gone GROUP BY place) counted) numbered GROUP BY piece;
  ELSE
    INSERT INTO tally_log (places, hosts)
    SELECT array_agg(place), array_agg(n)
    FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
      SELECT place, sum(n)::int4 AS n FROM (
        SELECT place, 1 AS n FROM come UNION ALL SELECT place, -1 FROM gone) both_sides
      GROUP BY place HAVING sum(n) <> 0) counted) numbered GROUP BY piece;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER tally_insert AFTER INSERT ON host REFERENCING NEW TABLE AS come
  FOR EACH STATEMENT EXECUTE FUNCTION tally_host();
CREATE TRIGGER tally_update AFTER UPDATE ON host REFERENCING OLD TABLE AS gone NEW TABLE AS come
  FOR EACH STATEMENT EXECUTE FUNCTION tally_host();
CREATE TRIGGER tally_delete AFTER DELETE ON host REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION tally_host();

-- The lock is that of store/tallies.py, which may be folding: what it adds would be missed otherwise.
CREATE FUNCTION tally_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1590100016);
  IF TG_TABLE_NAME = 'endpoint' THEN
    DELETE FROM tally_log WHERE endpoints <> '{}';
    DELETE FROM tally_service;
    DELETE FROM tally_country;
    UPDATE tally_place SET endpoints = 0;
    UPDATE tally_area SET endpoints = 0;
  ELSE
    DELETE FROM tally_log WHERE hosts <> '{}';
    UPDATE tally_place SET hosts = 0;
    UPDATE tally_area SET hosts = 0;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER tally_truncate AFTER TRUNCATE ON endpoint FOR EACH STATEMENT EXECUTE FUNCTION tally_truncate();
CREATE TRIGGER tally_truncate AFTER TRUNCATE ON host FOR EACH STATEMENT EXECUTE FUNCTION tally_truncate();

-- What is there already.
INSERT INTO tally_log (places, services, ports, protocols, endpoints)
SELECT array_agg(place), array_agg(service), array_agg(port), array_agg(protocol), array_agg(n)
FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
  SELECT place, service, port, protocol, count(*)::int4 AS n
  FROM endpoint WHERE state = 'o' GROUP BY place, service, port, protocol) counted) numbered GROUP BY piece;
INSERT INTO tally_log (places, hosts)
SELECT array_agg(place), array_agg(n)
FROM (SELECT *, (row_number() OVER () - 1) / 8192 AS piece FROM (
  SELECT place, count(*)::int4 AS n FROM host GROUP BY place) counted) numbered GROUP BY piece;
