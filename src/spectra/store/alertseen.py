"""What submissions changed: new hosts, ports that opened, services and certificates that are others than before.

Something changed at an endpoint where a version of it began with what one of the submissions saw (store/timeline.py
says what a version is). It is no news where something later was known of the endpoint before: a scan of last year that
is brought today changes what was, not what is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

from spectra.model.alerts import Kind
from spectra.model.query import Query
from spectra.store.database import Connection
from spectra.store.filters import all_of, resolve
from spectra.store.lookups import hurried
from spectra.store.timeline import OPEN, PROTOCOL_NAME

MAX_CHANGES: Final = 20_000
"""Changes that one look takes up, if its submissions do not tell of more endpoints."""
MOST_CHANGES: Final = 200_000
"""Changes that one look takes up in any case at most."""


class Brief(NamedTuple):
    """What runs at an endpoint, and the SHA-256 (hex) of its certificate."""

    name: str = ""
    product: str = ""
    version: str = ""
    title: str = ""
    certificate: str = ""
    subject: str = ""


class Change(NamedTuple):
    """An endpoint that is open and was not as it is; `number` is its protocol's. `before` is empty where it was not
    open.
    """

    ip: str
    port: int
    number: int
    at: datetime
    kinds: tuple[Kind, ...]
    after: Brief
    before: Brief

    @property
    def protocol(self) -> str:
        """The protocol by its name."""
        return PROTOCOL_NAME[self.number]


class Changes(NamedTuple):
    """What submissions changed: hosts that are new with when they were seen, and endpoints. `more`: there is more."""

    hosts: tuple[tuple[str, datetime], ...] = ()
    endpoints: tuple[Change, ...] = ()
    more: bool = False


_SEEN: LiteralString = """
seen AS MATERIALIZED (
  SELECT s.ip, (p.at & 65535)::int4 AS port, (p.at >> 16)::int2 AS protocol, s.seen_at
  FROM sighting s CROSS JOIN LATERAL unnest(s.ports, string_to_array(s.states, NULL)) AS p (at, state)
  WHERE s.observation = ANY(%(seen)s::int8[]) AND p.state = 'o')"""
_BEGAN: LiteralString = """
began AS MATERIALIZED (
  SELECT e.ip, e.port, e.protocol, e.since, e.service, e.certificate, e.banner
  FROM seen s JOIN endpoint e ON (e.ip, e.port, e.protocol, e.since) = (s.ip, s.port, s.protocol, s.seen_at)
  WHERE e.state = 'o'
  UNION
  SELECT v.ip, v.port, v.protocol, v.since, v.service, v.certificate, v.banner
  FROM seen s JOIN endpoint_version v ON (v.ip, v.port, v.protocol, v.since) = (s.ip, s.port, s.protocol, s.seen_at)
  WHERE v.state = 'o')"""
# A submission that was settled before says so, or more, of the same time or later.
_KNOWN: LiteralString = """EXISTS (
  SELECT FROM sighting x JOIN observation o ON o.seq = x.observation
  JOIN provenance q ON q.subject = encode(o.observation_id, 'hex') AND q.kind = 'observation.settled'
  WHERE x.ip = {at}.ip AND x.observation <> ALL(%(seen)s::int8[]) AND q.seq <= %(after)s {held})"""
_CHANGES: LiteralString = f"""
WITH {_SEEN}, {_BEGAN}
SELECT host(b.ip), b.port, b.protocol, b.since, p.state::text,
       s.name, s.product, s.version, n.title, encode(c.sha256, 'hex'), c.subject_cn,
       t.name, t.product, t.version, m.title, encode(d.sha256, 'hex'), d.subject_cn
FROM began b LEFT JOIN LATERAL (
  SELECT v.state, v.service, v.certificate, v.banner FROM endpoint_version v
  WHERE (v.ip, v.port, v.protocol, v.until) = (b.ip, b.port, b.protocol, b.since) ORDER BY v.since DESC LIMIT 1
) p ON true
LEFT JOIN service s ON s.id = b.service LEFT JOIN banner n ON n.id = b.banner
LEFT JOIN certificate c ON c.id = b.certificate
LEFT JOIN service t ON t.id = p.service LEFT JOIN banner m ON m.id = p.banner
LEFT JOIN certificate d ON d.id = p.certificate
WHERE NOT {_KNOWN.format(at="b", held="AND x.seen_at >= b.since AND x.ports @> ARRAY[b.protocol::int4 << 16 | b.port]")}
ORDER BY b.since, b.ip, b.port, b.protocol LIMIT %(most)s"""
_HOSTS: LiteralString = f"""
WITH came AS MATERIALIZED (
  SELECT s.ip, min(s.seen_at) AS seen_at FROM sighting s WHERE s.observation = ANY(%(seen)s::int8[]) GROUP BY s.ip)
SELECT host(h.ip), h.first_seen FROM came c JOIN host h ON h.ip = c.ip AND h.first_seen = c.seen_at
WHERE NOT {_KNOWN.format(at="c", held="")}
ORDER BY h.first_seen, h.ip LIMIT %(most)s"""
# The versions that began then as rows `e` of `endpoint`, for the conditions of a query.
_AMONG: LiteralString = """
WITH e AS MATERIALIZED (
  SELECT v.*, c.first_seen, v.confirmed AS last_seen, c.place, c.untrusted
  FROM unnest(%s::inet[], %s::int4[], %s::int2[], %s::timestamptz[]) AS k (ip, port, protocol, since)
  JOIN endpoint c USING (ip, port, protocol)
  CROSS JOIN LATERAL (
    SELECT n.ip, n.port, n.protocol, n.state, n.service, n.certificate, n.banner, n.since, n.confirmed, n.trust, n.sole,
           n.doubt FROM endpoint n
    WHERE (n.ip, n.port, n.protocol, n.since) = (k.ip, k.port, k.protocol, k.since)
    UNION ALL
    SELECT n.ip, n.port, n.protocol, n.state, n.service, n.certificate, n.banner, n.since, n.confirmed, n.trust, n.sole,
           n.doubt FROM endpoint_version n
    WHERE (n.ip, n.port, n.protocol, n.since) = (k.ip, k.port, k.protocol, k.since)) v)
SELECT DISTINCT host(e.ip), e.port, e.protocol, e.since FROM e WHERE """


def changes(connection: Connection, observations: Sequence[int], after: int, endpoints: int = 0) -> Changes:
    """What these submissions (`observation.seq`) changed, by what was known when the chain was `after` entries long;
    `endpoints`: how many they tell of, as far as is known.
    """
    if not observations:
        return Changes()
    most = min(MOST_CHANGES, max(MAX_CHANGES, endpoints))
    params = {"seen": list(observations), "after": after, "most": most + 1}
    hosts = connection.execute(_HOSTS, params).fetchall()
    rows = connection.execute(_CHANGES, params).fetchall()
    found = tuple(change for row in rows[:most] if (change := _change(row)))
    more = len(hosts) > most or len(rows) > most
    return Changes(tuple((ip, at) for ip, at in hosts[:most]), found, more)


def matching(connection: Connection, query: Query, found: Sequence[Change]) -> list[Change]:
    """Those of `found` that the query holds for as they were then; with no terms all. Raises `BadRequest` where a
    regular expression takes too long.
    """
    if not query.terms or not found:
        return list(found)
    wanted = resolve(connection, query)
    if wanted.empty:
        return []
    held = all_of(wanted.conditions)
    keys = [
        [one.ip for one in found],
        [one.port for one in found],
        [one.number for one in found],
        [o.at for o in found],
    ]
    statement: LiteralString = f"{_AMONG} {held.sql}"
    with hurried(connection, really=wanted.costly):
        kept = {tuple(row) for row in connection.execute(statement, [*keys, *held.params])}
    return [one for one in found if (one.ip, one.port, one.number, one.at) in kept]


def _change(row: tuple[Any, ...]) -> Change | None:
    ip, port, number, at, state, *texts = row
    after, before = (Brief(*(text or "" for text in side)) for side in (texts[:6], texts[6:]))
    kinds = _kinds(after, before, was_open=state == OPEN)
    return Change(ip, port, number, at, kinds, after, before) if kinds else None


def _kinds(after: Brief, before: Brief, *, was_open: bool) -> tuple[Kind, ...]:
    kinds: list[Kind] = []
    if not was_open:
        kinds.append("port.opened")
    named, was = after[:2], before[:2] if was_open else ("", "")
    if any(named) and named != was:
        kinds.append("service.new")
    elif was_open and after[:4] != before[:4]:
        kinds.append("service.changed")
    if was_open and before.certificate and after.certificate not in ("", before.certificate):
        kinds.append("certificate.changed")
    return tuple(kinds)
