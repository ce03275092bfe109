-- Where hosts are, by the feeds.

CREATE TABLE place (
    id            uuid PRIMARY KEY,
    asn           int8 NOT NULL,
    org           text NOT NULL,
    country       text NOT NULL,
    country_name  text NOT NULL,
    region        text NOT NULL,
    city          text NOT NULL,
    cloud         text NOT NULL,
    cloud_service text NOT NULL,
    cloud_region  text NOT NULL,
    latitude      float8,
    longitude     float8,
    first_seen    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX place_asn ON place (asn);
CREATE INDEX place_country ON place (country);
CREATE INDEX place_city ON place (lower(city));
CREATE INDEX place_cloud ON place (cloud, cloud_region);

ALTER TABLE host ADD COLUMN place uuid;
ALTER TABLE host ADD COLUMN feeds int4;
CREATE INDEX host_place ON host (place) WHERE place IS NOT NULL;

ALTER TABLE endpoint ADD COLUMN place uuid;
CREATE INDEX endpoint_place ON endpoint (place, last_seen) WHERE state = 'o';

ALTER TABLE service ADD COLUMN cpe23 text[] NOT NULL DEFAULT '{}';
CREATE INDEX service_cpe23 ON service USING gin (cpe23);
