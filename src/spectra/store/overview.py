"""What is new, and what waits: each a bounded look into an index, however much there is."""

from __future__ import annotations

from datetime import datetime
from typing import Final, LiteralString

from spectra.model.overview import Bounded, Changes, EndpointNews, Machines, NewHost, Queues
from spectra.store.database import Connection, Database, one
from spectra.store.stats import held
from spectra.store.tallies import snapshot
from spectra.store.timeline import PROTOCOL_NAME

MOST: Final = 10_000
"""Up to so many are counted; of more it is said that there are at least so many."""
LISTED: Final = 10
_LOST: Final = 20

_NEW_HOSTS: LiteralString = "SELECT count(*) FROM (SELECT FROM host WHERE first_seen > %s LIMIT %s) h"
_NEW_SERVICES: LiteralString = "SELECT count(*) FROM (SELECT FROM endpoint WHERE first_seen > %s LIMIT %s) e"
# Every endpoint was open once: one that is not open now went when its present version began.
_CHANGED: LiteralString = (
    "(SELECT ip, port, protocol, state, since, service FROM endpoint WHERE since > %s ORDER BY since DESC LIMIT %s)"
)
_GONE: LiteralString = f"SELECT count(*), count(*) FILTER (WHERE state <> 'o') FROM {_CHANGED} e"
_HOSTS: LiteralString = """
SELECT host(h.ip), h.first_seen,
  (SELECT count(*) FROM (SELECT FROM endpoint e WHERE e.ip = h.ip AND e.state = 'o' LIMIT 1000) e),
  coalesce((SELECT min(n.name) FROM hostname n WHERE n.ip = h.ip), '')
FROM (SELECT ip, first_seen FROM host WHERE first_seen > %s ORDER BY first_seen DESC, ip LIMIT %s) h
ORDER BY h.first_seen DESC, h.ip"""
_SERVICES: LiteralString = """
SELECT host(e.ip), e.port, e.protocol, e.first_seen, coalesce(s.name, ''), coalesce(s.product, ''),
  coalesce(s.version, '')
FROM (SELECT * FROM endpoint WHERE first_seen > %s ORDER BY first_seen DESC LIMIT %s) e
LEFT JOIN service s ON s.id = e.service ORDER BY e.first_seen DESC, e.ip, e.port"""
# What ran there is what the version before said.
_GONE_SERVICES: LiteralString = f"""
SELECT host(e.ip), e.port, e.protocol, e.since, coalesce(s.name, ''), coalesce(s.product, ''), coalesce(s.version, '')
FROM (SELECT * FROM {_CHANGED} c WHERE state <> 'o' ORDER BY since DESC LIMIT %s) e
LEFT JOIN LATERAL (
  SELECT w.service FROM endpoint_version w
  WHERE (w.ip, w.port, w.protocol) = (e.ip, e.port, e.protocol) AND w.state = 'o'
  ORDER BY w.until DESC LIMIT 1) w ON true
LEFT JOIN service s ON s.id = w.service ORDER BY e.since DESC, e.ip, e.port"""
_NODES: LiteralString = """
SELECT n.name, n.standing, coalesce(p.presence, 'never') FROM node n LEFT JOIN node_presence p ON p.node = n.name
WHERE n.standing IN ('active', 'quarantined') ORDER BY n.name LIMIT 10000"""
_QUEUES: Final[dict[str, LiteralString]] = {
    "jobs": "SELECT FROM job WHERE counts IS NULL",
    "waiting": "SELECT FROM target WHERE state = 'waiting'",
    "leased": "SELECT FROM lease WHERE ended IS NULL",
    "review": "SELECT FROM target WHERE state = 'review'",
    "submissions": "SELECT FROM observation WHERE status = 'accepted'",
}


def totals(database: Database) -> tuple[int, int]:
    """Hosts and open endpoints."""
    with snapshot(database) as connection:
        found = held(connection)
    return found["hosts"], found["endpoints"]


def changes(database: Database, since: datetime) -> Changes:
    """What came and went since then, by when it was seen."""
    with database.connection() as connection:
        looked, gone = one(connection.execute(_GONE, [since, MOST + 1]))
        return Changes(
            hosts=_counted(connection, _NEW_HOSTS, since),
            services=_counted(connection, _NEW_SERVICES, since),
            gone=Bounded(gone, looked <= MOST),
            new_hosts=tuple(NewHost(*row) for row in connection.execute(_HOSTS, [since, LISTED])),
            new_services=_news(connection, _SERVICES, [since, LISTED]),
            gone_services=_news(connection, _GONE_SERVICES, [since, MOST + 1, LISTED]) if gone else (),
        )


def machines(database: Database) -> Machines:
    """How it stands with the nodes."""
    with database.connection() as connection:
        rows = connection.execute(_NODES).fetchall()
    alive = [name for name, standing, presence in rows if standing == "active" and presence == "alive"]
    away = [name for name, standing, presence in rows if standing == "active" and presence != "alive"]
    return Machines(len(alive), len(away), len(rows) - len(alive) - len(away), tuple(away[:_LOST]))


def queues(database: Database) -> Queues:
    """How much waits."""
    with database.connection() as connection:
        found = {
            name: int(one(connection.execute(f"SELECT count(*) FROM ({rows} LIMIT %s) q", [MOST + 1]))[0])
            for name, rows in _QUEUES.items()
        }
    return Queues(**{name: Bounded(min(count, MOST), count <= MOST) for name, count in found.items()})


def refused_machines(database: Database, since: datetime) -> int:
    """How many kinds of things machines tried and were refused since then."""
    with database.connection() as connection:
        return int(one(connection.execute("SELECT count(*) FROM node_refusal WHERE last > %s", [since]))[0])


def _counted(connection: Connection, statement: LiteralString, since: datetime) -> Bounded:
    count = int(one(connection.execute(statement, [since, MOST + 1]))[0])
    return Bounded(min(count, MOST), count <= MOST)


def _news(connection: Connection, statement: LiteralString, params: list[object]) -> tuple[EndpointNews, ...]:
    rows = connection.execute(statement, params).fetchall()
    return tuple(EndpointNews(ip, port, PROTOCOL_NAME[number], *rest) for ip, port, number, *rest in rows)
