"""The baseline: the same rows as an ingest writes, merged by hand-written SQL alone.

No HTTP, no signature, no parsing, no provenance, no history logic; the JSON is made before the clock starts, and one
transaction with fsync takes as many hosts as one envelope does. What is left is what PostgreSQL itself costs, and so
the most an ingest on the same machine could reach if everything else were free.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from spectra.bench import hosts
from spectra.intel.enrich.cpe import cpe23
from spectra.store.database import Database
from spectra.store.rows import content_id

_SERVICES = """
INSERT INTO service (id, name, product, version, extra, os, device, tunnel, cpe, cpe23)
SELECT id, name, product, version, '', '', '', '', cpe, cpe23
FROM json_to_recordset(%s::json) AS r (id uuid, name text, product text, version text, cpe text[], cpe23 text[])
ORDER BY id ON CONFLICT DO NOTHING"""
_HOSTS = """
INSERT INTO host AS h (ip, first_seen, last_seen)
SELECT ip, at, at FROM json_to_recordset(%s::json) AS r (ip inet, at timestamptz) ORDER BY ip
ON CONFLICT (ip) DO UPDATE SET
  first_seen = least(h.first_seen, excluded.first_seen), last_seen = greatest(h.last_seen, excluded.last_seen)"""
_ENDPOINTS = """
INSERT INTO endpoint AS e (ip, port, protocol, state, service, since, confirmed, first_seen, last_seen)
SELECT ip, port, 6, 'o', service, at, at, at, at
FROM json_to_recordset(%s::json) AS r (ip inet, port int4, service uuid, at timestamptz) ORDER BY ip, port
ON CONFLICT (ip, port, protocol) DO UPDATE SET
  service = excluded.service, confirmed = greatest(e.confirmed, excluded.confirmed),
  last_seen = greatest(e.last_seen, excluded.last_seen)"""
_SIGHTINGS = """
INSERT INTO sighting (ip, seen_at, observation, ports, states, services)
SELECT ip, at, 1, ports, 'ooo', services
FROM json_to_recordset(%s::json) AS r (ip inet, at timestamptz, ports int4[], services uuid[])"""

Batch = Sequence[tuple[str, str]]
"""(statement, JSON) pairs of one transaction."""


def batch(first: int, count: int) -> Batch:
    """The statements that merge hosts `first` to `first + count - 1`."""
    services: dict[str, dict[str, Any]] = {}
    endpoints: list[dict[str, Any]] = []
    sightings: list[dict[str, Any]] = []
    for record in hosts.records(first, count):
        ids: list[str] = []
        for seen in record.endpoints:
            assert seen.service
            s, key = seen.service, content_id(seen.service.fingerprint)
            ids.append(key)
            row = {"id": key, "name": s.name, "product": s.product, "version": s.version, "cpe": s.cpe}
            services[key] = row | {"cpe23": cpe23(s)}
            endpoints.append({"ip": record.ip, "port": seen.port, "service": key, "at": record.seen_at})
        packed = [6 << 16 | seen.port for seen in record.endpoints]
        sightings.append({"ip": record.ip, "at": record.seen_at, "ports": packed, "services": ids})
    rows: tuple[tuple[str, list[dict[str, Any]]], ...] = (
        (_SERVICES, list(services.values())),
        (_HOSTS, [{"ip": s["ip"], "at": s["at"]} for s in sightings]),
        (_ENDPOINTS, endpoints),
        (_SIGHTINGS, sightings),
    )
    return [(statement, msgspec.json.encode(values).decode()) for statement, values in rows]


def merge(database: Database, batches: Sequence[Batch]) -> float:
    """Merge prepared batches, one transaction each; returns seconds."""
    began = time.perf_counter()
    for statements in batches:
        with database.transaction() as connection:
            for statement, rows in statements:
                connection.execute(statement.encode(), [rows])
    return time.perf_counter() - began
