"""How many open endpoints and hosts there are, by service and by place: counted as they change, never by counting.

Triggers on `endpoint` and `host` append what each statement added and took away to `tally_log`, in the transaction
that did it: exact, without contention, and nothing where nothing changed. A `Folder` merges the log into small tables
every few seconds. Readers add both under one snapshot, so that an answer is exact at any moment, and right after any
crash. What the tables hold, always of open endpoints:

- `tally_service`: by service, port and protocol;
- `tally_place`: by place, with hosts, which also count where nothing is open;
- `tally_country`: by country, kind (a service without its version), port and protocol;
- `tally_area`: by whole country, region, city, network, organisation, cloud and cloud region, and `all`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Generator
from typing import Final, LiteralString

import psycopg

from spectra.errors import Unavailable
from spectra.store.database import Connection, Database, one

_log = logging.getLogger("spectra.store")

_LOCK: Final = 0x5EC7_0030  # also in tally_truncate of the schema
PIECES: Final = 64
"""Rows of the log that one fold takes, each with up to 8,192 entries: a bound on its memory."""
EVERY_S: Final = 3.0
TIDY_ROUNDS: Final = 1200
"""Rounds after which what is at nothing is removed: an hour."""

ENTRIES: LiteralString = """(SELECT u.* FROM tally_log CROSS JOIN LATERAL
  unnest(places, services, ports, protocols, endpoints, hosts)
    AS u (place, service, port, protocol, endpoints, hosts)) AS u"""
"""The entries of the log; an entry about hosts has no endpoints, and the other way round."""

KIND: LiteralString = """encode(substr(sha256(convert_to(
  json_build_array(s.name, s.tunnel, s.product)::text, 'UTF8')), 1, 16), 'hex')::uuid"""
"""The id of the kind of a service `s`: content-addressed, so that nobody has to ask for it."""

# Every area that a place `p` is in. What is not known has an empty name: its endpoints are counted as well.
AREAS: LiteralString = """(VALUES
  ('all', '', ''),
  ('country', '', coalesce(p.country, '')),
  ('region', coalesce(p.country, ''), coalesce(p.region, '')),
  ('city', coalesce(p.country, ''), coalesce(p.city, '')),
  ('asn', coalesce(p.org, ''), coalesce(nullif(p.asn, 0)::text, '')),
  ('cloud', coalesce(p.cloud, ''), coalesce(p.cloud_region, ''))) AS a (area, parent, name)"""

_FOLD: LiteralString = f"""
WITH taken AS MATERIALIZED (
  DELETE FROM tally_log WHERE ctid = ANY(ARRAY(SELECT ctid FROM tally_log LIMIT %s)) RETURNING *),
entry AS MATERIALIZED (
  SELECT u.* FROM taken CROSS JOIN LATERAL
    unnest(places, services, ports, protocols, endpoints, hosts)
      AS u (place, service, port, protocol, endpoints, hosts)),
of_place AS MATERIALIZED (
  SELECT e.place, e.endpoints, e.hosts, p.asn, p.org, p.country, p.region, p.city, p.cloud, p.cloud_region
  FROM (SELECT place, coalesce(sum(endpoints), 0) AS endpoints, coalesce(sum(hosts), 0) AS hosts
        FROM entry GROUP BY place) e LEFT JOIN place p ON p.id = e.place),
kind AS MATERIALIZED (
  SELECT s.id AS service, {KIND} AS id, s.name, s.tunnel, s.product
  FROM (SELECT DISTINCT service FROM entry) e JOIN service s ON s.id = e.service),
kinds AS (
  INSERT INTO tally_kind (id, name, tunnel, product)
  SELECT DISTINCT id, name, tunnel, product FROM kind ON CONFLICT DO NOTHING),
services AS (
  INSERT INTO tally_service AS t (service, port, protocol, endpoints)
  SELECT service, port, protocol, sum(endpoints) FROM entry WHERE endpoints <> 0
  GROUP BY service, port, protocol HAVING sum(endpoints) <> 0
  ON CONFLICT (service, port, protocol) DO UPDATE SET endpoints = t.endpoints + excluded.endpoints),
countries AS (
  INSERT INTO tally_country AS t (country, kind, port, protocol, endpoints)
  SELECT coalesce(p.country, ''), k.id, e.port, e.protocol, sum(e.endpoints)
  FROM entry e LEFT JOIN of_place p ON p.place = e.place LEFT JOIN kind k ON k.service = e.service
  WHERE e.endpoints <> 0 GROUP BY 1, 2, 3, 4 HAVING sum(e.endpoints) <> 0
  ON CONFLICT (country, kind, port, protocol) DO UPDATE SET endpoints = t.endpoints + excluded.endpoints),
places AS (
  INSERT INTO tally_place AS t (place, endpoints, hosts)
  SELECT place, endpoints, hosts FROM of_place
  ON CONFLICT (place) DO UPDATE SET endpoints = t.endpoints + excluded.endpoints, hosts = t.hosts + excluded.hosts),
areas AS (
  INSERT INTO tally_area AS t (area, parent, name, endpoints, hosts)
  SELECT a.area, a.parent, a.name, sum(p.endpoints), sum(p.hosts) FROM of_place p CROSS JOIN LATERAL {AREAS}
  GROUP BY 1, 2, 3
  ON CONFLICT (area, parent, name) DO UPDATE SET
    endpoints = t.endpoints + excluded.endpoints, hosts = t.hosts + excluded.hosts)
SELECT count(*) FROM taken"""

_TIDY: tuple[LiteralString, ...] = (
    "DELETE FROM tally_service WHERE endpoints = 0",
    "DELETE FROM tally_country WHERE endpoints = 0",
    "DELETE FROM tally_place WHERE endpoints = 0 AND hosts = 0",
    "DELETE FROM tally_area WHERE endpoints = 0 AND hosts = 0",
)


def fold(database: Database, *, pieces: int = PIECES) -> int:
    """Merge up to `pieces` rows of the log into the tables; how many there were, 0 where another coordinator does it.

    One transaction: a reader sees each of them either in the log or in the tables.
    """
    with database.transaction() as connection:
        if not _alone(connection):
            return 0
        # Two seconds of ingest are written again after a crash at worst, but never apart from the log they came from.
        connection.execute("SET LOCAL synchronous_commit = off")
        return int(one(connection.execute(_FOLD, [pieces]))[0])


def tidy(database: Database) -> None:
    """Remove what has come down to nothing, such as services that nobody runs any more."""
    with database.transaction() as connection:
        if _alone(connection):
            for statement in _TIDY:
                connection.execute(statement)


def _alone(connection: Connection) -> bool:
    return bool(one(connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK]))[0])


def sweep(database: Database) -> None:
    """Give the space of folded rows back to the log at once: autovacuum would let it grow between its rounds."""
    with database.connection() as connection:
        connection.execute("VACUUM tally_log")


@contextlib.contextmanager
def snapshot(database: Database) -> Generator[Connection]:
    """Lend a connection on which everything read is of one moment, so that table and log add up."""
    with database.connection() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield connection


class Folder:
    """Folds every few seconds on a thread of its own, until stopped. Any number of coordinators may have one."""

    def __init__(self, database: Database, *, every_s: float = EVERY_S) -> None:
        self._database = database
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spectra-tallies", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the fold that is under way; what is left in the log is as good there."""
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        rounds = 0
        while not self._stop.wait(self._every_s):
            rounds += 1
            try:
                self._round(tidy_too=rounds % TIDY_ROUNDS == 0)
            except Unavailable as error:
                _log.warning("tallies not folded: %s", error.message, extra={"error.type": error.reason})
            except psycopg.Error:  # a later round may work, and answers stay right without any
                _log.exception("tallies not folded")

    def _round(self, *, tidy_too: bool) -> None:
        folded = False
        while fold(self._database) and not self._stop.is_set():
            folded = True
        if tidy_too:
            tidy(self._database)
        if folded:
            sweep(self._database)
