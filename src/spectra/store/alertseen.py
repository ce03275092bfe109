"""What submissions changed: new hosts, ports that opened, services and certificates that are others than before.

Something changed at an endpoint where a version of it began with what one of the submissions saw (store/timeline.py
says what a version is). It is no news where something later was known of the endpoint before: a scan of last year that
is brought today changes what was, not what is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final, LiteralString, NamedTuple

from spectra.model.alerts import Kind
from spectra.model.query import Query
from spectra.store.conditions import array
from spectra.store.database import Connection
from spectra.store.filters import all_of, resolve
from spectra.store.lookups import hurried
from spectra.store.timeline import PROTOCOL_NAME

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


_NOTHING: Final = Brief()


class Change(NamedTuple):
    """An endpoint that is open and was not as it is; `number` is its protocol's. `before` is empty where it was not
    open.

    Until it is `described`, `before` is empty, and `after` says no more than which service it is: of many changes few
    are told one by one, and of a port that opened no more is told.
    """

    ip: str
    port: int
    number: int
    at: datetime
    kinds: tuple[Kind, ...]
    after: Brief = _NOTHING
    before: Brief = _NOTHING

    @property
    def protocol(self) -> str:
        """The protocol by its name."""
        return PROTOCOL_NAME[self.number]


_PIECE: Final = 5000  # rows
_FEW: Final = 2000
"""New hosts whose ports are looked up without those of all others."""
_SEEN: LiteralString = """
seen AS MATERIALIZED (
  SELECT s.ip, (p.at & 65535)::int4 AS port, (p.at >> 16)::int2 AS protocol, s.seen_at
  FROM sighting s CROSS JOIN LATERAL unnest(s.ports, string_to_array(s.states, NULL)) AS p (at, state)
  WHERE s.observation = ANY(%(seen)s::int8[]) AND p.state = 'o')"""
_SEEN_AT: LiteralString = f"{_SEEN[:-1]} AND s.ip = ANY(%(at)s::inet[]))"
_BEGAN: LiteralString = """
began AS MATERIALIZED (
  SELECT e.ip, e.port, e.protocol, e.since, e.service, e.certificate, e.banner, e.first_seen = e.since AS is_first
  FROM seen s JOIN endpoint e ON (e.ip, e.port, e.protocol, e.since) = (s.ip, s.port, s.protocol, s.seen_at)
  WHERE e.state = 'o'
  UNION
  SELECT v.ip, v.port, v.protocol, v.since, v.service, v.certificate, v.banner, false
  FROM seen s JOIN endpoint_version v ON (v.ip, v.port, v.protocol, v.since) = (s.ip, s.port, s.protocol, s.seen_at)
  WHERE v.state = 'o')"""
# A submission that was settled before says so, or more, of the same time or later.
_KNOWN: LiteralString = """EXISTS (
  SELECT FROM sighting x JOIN observation o ON o.seq = x.observation
  JOIN provenance q ON q.subject = encode(o.observation_id, 'hex') AND q.kind = 'observation.settled'
  WHERE x.ip = {at}.ip AND x.observation <> ALL(%(seen)s::int8[]) AND q.seq <= %(after)s {held})"""
# Bits of `KINDS`. What was there before is only read where something was, and texts where they can differ: most ports
# of a large submission are new.
_WHAT_CHANGED: LiteralString = f"""
SELECT host(b.ip), b.port, b.protocol, b.since,
  CASE WHEN p.was_open THEN 0 ELSE 1 END
  + CASE WHEN (s.name <> '' OR s.product <> '')
           AND (s.name, s.product) IS DISTINCT FROM (coalesce(p.name, ''), coalesce(p.product, '')) THEN 2
         WHEN p.was_open AND (p.other_title OR (coalesce(s.name, ''), coalesce(s.product, ''), coalesce(s.version, ''))
           IS DISTINCT FROM (coalesce(p.name, ''), coalesce(p.product, ''), coalesce(p.version, ''))) THEN 4 ELSE 0 END
  + CASE WHEN p.other_certificate THEN 8 ELSE 0 END,
  s.name, s.product, s.version
FROM began b LEFT JOIN service s ON s.id = b.service LEFT JOIN LATERAL (
  SELECT true AS was_open, t.name, t.product, t.version, c.sha256 <> d.sha256 AS other_certificate,
         coalesce(n.title, '') <> coalesce(m.title, '') AS other_title
  FROM (
    SELECT v.state, v.service, v.certificate, v.banner FROM endpoint_version v
    WHERE NOT b.is_first AND (v.ip, v.port, v.protocol, v.until) = (b.ip, b.port, b.protocol, b.since)
    ORDER BY v.since DESC LIMIT 1) v
  LEFT JOIN service t ON t.id = v.service
  LEFT JOIN banner n ON n.id = CASE WHEN b.banner IS DISTINCT FROM v.banner THEN b.banner END
  LEFT JOIN banner m ON m.id = CASE WHEN b.banner IS DISTINCT FROM v.banner THEN v.banner END
  LEFT JOIN certificate c ON c.id = CASE WHEN b.certificate <> v.certificate THEN b.certificate END
  LEFT JOIN certificate d ON d.id = CASE WHEN b.certificate <> v.certificate THEN v.certificate END
  WHERE v.state = 'o') p ON true
WHERE NOT {_KNOWN.format(at="b", held="AND x.seen_at >= b.since AND x.ports @> ARRAY[b.protocol::int4 << 16 | b.port]")}
ORDER BY b.since, b.ip, b.port, b.protocol LIMIT %(most)s"""
_CHANGES: LiteralString = f"WITH {_SEEN}, {_BEGAN} {_WHAT_CHANGED}"
_CHANGES_AT: LiteralString = f"WITH {_SEEN_AT}, {_BEGAN} {_WHAT_CHANGED}"
_KINDS: Final[tuple[Kind, ...]] = ("port.opened", "service.new", "service.changed", "certificate.changed")
_BY_BITS: Final = tuple(
    tuple(kind for bit, kind in enumerate(_KINDS) if bits >> bit & 1) for bits in range(1 << len(_KINDS))
)
_DESCRIBED: LiteralString = """
SELECT b.place, s.name, s.product, s.version, n.title, encode(c.sha256, 'hex'), c.subject_cn,
       t.name, t.product, t.version, m.title, encode(d.sha256, 'hex'), d.subject_cn
FROM (
  SELECT k.place, v.* FROM unnest(%s::inet[], %s::int4[], %s::int2[], %s::timestamptz[])
    WITH ORDINALITY AS k (ip, port, protocol, since, place) CROSS JOIN LATERAL (
    SELECT e.ip, e.port, e.protocol, e.since, e.service, e.certificate, e.banner, e.first_seen = e.since AS is_first
    FROM endpoint e
    WHERE (e.ip, e.port, e.protocol, e.since) = (k.ip, k.port, k.protocol, k.since) AND e.state = 'o'
    UNION ALL
    SELECT w.ip, w.port, w.protocol, w.since, w.service, w.certificate, w.banner, false FROM endpoint_version w
    WHERE (w.ip, w.port, w.protocol, w.since) = (k.ip, k.port, k.protocol, k.since) AND w.state = 'o' LIMIT 1) v
) b LEFT JOIN LATERAL (
  SELECT v.service, v.certificate, v.banner FROM endpoint_version v
  WHERE NOT b.is_first AND (v.ip, v.port, v.protocol, v.until) = (b.ip, b.port, b.protocol, b.since)
  ORDER BY v.since DESC LIMIT 1
) p ON true
LEFT JOIN service s ON s.id = b.service LEFT JOIN banner n ON n.id = b.banner
LEFT JOIN certificate c ON c.id = b.certificate
LEFT JOIN service t ON t.id = p.service LEFT JOIN banner m ON m.id = p.banner
LEFT JOIN certificate d ON d.id = p.certificate"""
_HOSTS: LiteralString = f"""
WITH came AS MATERIALIZED (
  SELECT s.ip, min(s.seen_at) AS seen_at FROM sighting s WHERE s.observation = ANY(%(seen)s::int8[]) GROUP BY s.ip)
SELECT host(h.ip), h.first_seen FROM came c JOIN host h ON h.ip = c.ip AND h.first_seen = c.seen_at
WHERE NOT {_KNOWN.format(at="c", held="")}
ORDER BY h.first_seen, h.ip LIMIT %(most)s"""
# The versions that began then as rows `e` of `endpoint`, for the conditions of a query.
_AMONG: LiteralString = """
WITH k AS MATERIALIZED (
  SELECT * FROM unnest(%s::inet[], %s::int4[], %s::int2[], %s::timestamptz[])
    WITH ORDINALITY AS k (ip, port, protocol, since, number)),
e AS MATERIALIZED (
  SELECT n.ip, n.port, n.protocol, n.state, n.service, n.certificate, n.banner, n.since, n.confirmed, n.trust, n.sole,
         n.doubt, n.first_seen, n.confirmed AS last_seen, n.place, n.untrusted, k.number
  FROM k JOIN endpoint n USING (ip, port, protocol, since)
  UNION ALL
  SELECT n.ip, n.port, n.protocol, n.state, n.service, n.certificate, n.banner, n.since, n.confirmed, n.trust, n.sole,
         n.doubt, c.first_seen, n.confirmed, c.place, c.untrusted, k.number
  FROM k JOIN endpoint_version n USING (ip, port, protocol, since) JOIN endpoint c USING (ip, port, protocol))
SELECT DISTINCT e.number FROM e WHERE """


class Noticed:
    """What these submissions (`observation.seq`) changed, by what was known when the chain was `after` entries long;
    `endpoints`: how many they tell of, as far as is known. Looked up when it is asked for first.
    """

    def __init__(self, connection: Connection, observations: Sequence[int] = (), after: int = 0, endpoints: int = 0):
        self._connection = connection
        self._observations = list(observations)
        self._after = after
        self._most = min(MOST_CHANGES, max(MAX_CHANGES, endpoints))
        self._endpoints: tuple[Change, ...] | None = None
        self.more = False
        """Whether there is more than what was looked up."""

    @cached_property
    def hosts(self) -> tuple[tuple[str, datetime], ...]:
        """Hosts that are new, with when they were seen."""
        return tuple((ip, at) for ip, at in self._rows(_HOSTS))

    @property
    def endpoints(self) -> tuple[Change, ...]:
        """Endpoints that changed, not `described` yet."""
        if self._endpoints is None:
            services: dict[tuple[str | None, ...], Brief] = {}
            found: list[Change] = []
            for ip, port, number, at, bits, name, product, version in self._rows(_CHANGES):
                if bits:
                    named = name, product, version
                    after = services.get(named) or services.setdefault(named, Brief(*(text or "" for text in named)))
                    found.append(Change(ip, port, number, at, _BY_BITS[bits], after))
            self._endpoints = tuple(found)
        return self._endpoints

    def ports(self, ips: Collection[str]) -> dict[str, list[int]]:
        """The ports of endpoints that changed at these addresses."""
        if self._endpoints is not None or len(ips) > _FEW:
            found = [(one.ip, one.port) for one in self.endpoints if one.ip in ips]
        else:
            found = [(ip, port) for ip, port, _, _, bits, *_ in self._rows(_CHANGES_AT, at=array(ips)) if bits]
        ports: dict[str, list[int]] = {}
        for ip, port in found:
            ports.setdefault(ip, []).append(port)
        return ports

    def _rows(self, statement: LiteralString, **more: str) -> Iterator[tuple[Any, ...]]:
        if not self._observations:
            return
        params = {"seen": self._observations, "after": self._after, "most": self._most + 1, **more}
        cursor = self._connection.execute(statement, params)
        self.more |= cursor.rowcount > self._most
        left = self._most
        while left and (some := cursor.fetchmany(min(left, _PIECE))):
            yield from some
            left -= len(some)


def described(connection: Connection, found: Sequence[Change]) -> list[Change]:
    """The same with all that they are and were; as they are where that is not so any more."""
    if not found:
        return []
    briefs: dict[int, tuple[Brief, Brief]] = {}
    for place, *texts in connection.execute(_DESCRIBED, _keys(found)).fetchall():
        briefs[place] = Brief(*(text or "" for text in texts[:6])), Brief(*(text or "" for text in texts[6:]))
    return [Change(*one[:5], *briefs.get(place, one[5:])) for place, one in enumerate(found, 1)]


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
    statement: LiteralString = f"{_AMONG} {held.sql}"
    with hurried(connection, really=wanted.costly):
        kept = sorted(row[0] for row in connection.execute(statement, [*_keys(found), *held.params]))
    return [found[number - 1] for number in kept]


def _keys(found: Sequence[Change]) -> list[str]:
    """The columns by which they are found again."""
    return [
        array([one.ip for one in found]),
        array([one.port for one in found]),
        array([one.number for one in found]),
        array([one.at for one in found]),
    ]
