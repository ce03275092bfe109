"""A database of 20,000 endpoints on 10,000 hosts, made by SQL alone: for what happens only where there is much."""

from __future__ import annotations

from spectra.store.database import Database

ENDPOINTS = 20_000
HOSTS = 10_000


def fill(database: Database) -> None:
    """Ten services, of which three are nginx; a quarter of the endpoints have one of five titles."""
    with database.connection() as connection:
        connection.execute(
            """INSERT INTO service (id, name, product, version, extra, os, device, tunnel, cpe)
               SELECT md5(n::text)::uuid, 'http', CASE WHEN n < 3 THEN 'nginx' ELSE 'other' END, n::text,
                 '', '', '', '', '{}' FROM generate_series(0, 9) n"""
        )
        connection.execute(
            """INSERT INTO banner (id, text, title)
               SELECT md5(n::text)::uuid, '', 'Title ' || n FROM generate_series(0, 4) n"""
        )
        connection.execute(
            """INSERT INTO endpoint
                 (ip, port, protocol, state, service, banner, since, confirmed, first_seen, last_seen)
               SELECT '10.0.0.0'::inet + n / 2, 80 + n % 2, 6, 'o', md5((n % 10)::text)::uuid,
                 CASE WHEN n % 4 = 0 THEN md5((n % 5)::text)::uuid END, t, t, t, t
               FROM generate_series(0, 19999) n,
                 LATERAL (SELECT timestamptz '2026-01-01' + n * interval '1 min') a (t)"""
        )
        connection.execute("ANALYZE")
