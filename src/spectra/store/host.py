"""One host with everything known of it, now or at any past moment; and one name.

A moment is asked of what was *seen* by then, whenever it was submitted: an observation that came late counts from the
time it was made.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, LiteralString

import msgspec

from spectra.errors import BadRequest, NotFound
from spectra.model.facts import Place
from spectra.model.lifetimes import Lifetimes, stale_at
from spectra.model.observation import Certificate, Service
from spectra.model.records import (
    EndpointRecord,
    EvidenceRecord,
    FeedsUsed,
    HostnameRecord,
    HostRecord,
    NameRecord,
    SightingRecord,
    VersionRecord,
)
from spectra.store.database import Connection, Database
from spectra.store.timeline import PROTOCOL_NAME, STATE

MAX_SIGHTINGS: Final = 100
MAX_NAMES: Final = 10_000
MAX_PAST: Final = 10_000
"""Past versions of all endpoints of one host; of a host with more, the newest."""

_BUILT_IN: Final = Lifetimes()
_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)

# The host, the newest sighting by the moment asked for, and the first probe without an answer since. What the row of
# the host says of system and card is the newest; for an earlier moment the log is asked.
_HOST = """
SELECT h.first_seen, up.at, down.at,
       CASE WHEN coalesce(h.os_at, '-infinity') <= %(at)s THEN h.os ELSE coalesce((
         SELECT s.extra::json->>'os' FROM sighting s
         WHERE s.ip = h.ip AND s.seen_at <= %(at)s AND nullif(s.extra, '')::json->>'os' <> ''
         ORDER BY s.seen_at DESC, s.extra::json->>'os' DESC LIMIT 1), '') END,
       CASE WHEN coalesce(h.mac_at, '-infinity') <= %(at)s THEN ARRAY[h.mac, h.vendor] ELSE (
         SELECT ARRAY[s.extra::json->>'mac', coalesce(s.extra::json->>'vendor', '')] FROM sighting s
         WHERE s.ip = h.ip AND s.seen_at <= %(at)s AND nullif(s.extra, '')::json->>'mac' <> ''
         ORDER BY s.seen_at DESC, s.extra::json->>'mac' DESC LIMIT 1) END
FROM host h
CROSS JOIN LATERAL (SELECT max(s.seen_at) FROM sighting s WHERE s.ip = h.ip AND s.seen_at <= %(at)s) up (at)
CROSS JOIN LATERAL (
  SELECT min(q.seen_at) FROM silence q WHERE q.net >>= h.ip AND q.seen_at > up.at AND q.seen_at <= %(at)s) down (at)
WHERE h.ip = %(ip)s::inet"""

_PLACE = """
SELECT h.feeds, (SELECT f.feeds FROM feed_set f WHERE f.id = h.feeds), p.id, p.asn, p.org, p.country, p.country_name,
       p.region, p.city, p.cloud, p.cloud_service, p.cloud_region, p.latitude, p.longitude
FROM host h LEFT JOIN place p ON p.id = h.place WHERE h.ip = %(ip)s::inet AND h.feeds IS NOT NULL"""

_DETAILS = """
SELECT v.port, v.protocol, v.state::text, v.since, v.confirmed, v.until, v.first_seen, v.last_seen,
       s.id, s.name, s.product, s.version, s.extra, s.os, s.device, s.tunnel, s.cpe,
       c.id, encode(c.sha256, 'hex'), c.subject_cn, c.subject, c.issuer, c.sans, c.not_before, c.not_after, c.serial,
       c.key, coalesce(b.text, ''), coalesce(b.title, ''), coalesce(s.cpe23, '{}'), v.trust, v.sole, v.doubt
FROM v LEFT JOIN service s ON s.id = v.service LEFT JOIN certificate c ON c.id = v.certificate
  LEFT JOIN banner b ON b.id = v.banner"""
_CURRENT = """
  SELECT e.port, e.protocol, e.state, e.service, e.certificate, e.banner, e.since, e.confirmed,
         NULL::timestamptz AS until, e.first_seen, e.last_seen, e.trust, e.sole, e.doubt
  FROM endpoint e WHERE e.ip = %(ip)s::inet AND e.since <= %(at)s"""
# In one statement with the current ones: a late observation moves versions from one table to the other.
_PAST = """
  SELECT p.port, p.protocol, p.state, p.service, p.certificate, p.banner, p.since, p.confirmed, p.until,
         e.first_seen,
         CASE WHEN p.state = 'o' THEN p.confirmed ELSE coalesce((
           SELECT max(o.confirmed) FROM endpoint_version o
           WHERE (o.ip, o.port, o.protocol) = (p.ip, p.port, p.protocol) AND o.state = 'o' AND o.until <= p.since
         ), e.first_seen) END AS last_seen, p.trust, p.sole, p.doubt
  FROM endpoint_version p JOIN endpoint e USING (ip, port, protocol)
  WHERE p.ip = %(ip)s::inet AND p.since <= %(at)s"""
_ENDPOINTS = f"WITH v AS ({_CURRENT}) {_DETAILS}"
_ENDPOINTS_THEN = f"WITH v AS ({_CURRENT} UNION ALL {_PAST} AND p.until > %(at)s) {_DETAILS}"
_ENDPOINTS_HISTORY = f"""
WITH v AS ({_CURRENT} UNION ALL (SELECT * FROM ({_PAST}) p ORDER BY p.since DESC LIMIT %(past)s)) {_DETAILS}"""

_HOSTNAMES = """
SELECT name, kind, first_seen, last_seen FROM hostname WHERE ip = %(ip)s::inet AND first_seen <= %(at)s
ORDER BY name, kind LIMIT %(names)s"""

_EVERY_REMARK = """
SELECT e.port, e.protocol, r.kind, r.data, r.key, r.severity, e.first_seen, e.last_seen
FROM evidence e JOIN remark r ON r.id = e.remark
WHERE e.ip = %(ip)s::inet AND e.first_seen <= %(at)s
ORDER BY e.port, e.protocol, r.kind, r.key, e.first_seen, r.id"""
_NEWEST_REMARKS = """
SELECT DISTINCT ON (e.port, e.protocol, r.kind, r.key)
       e.port, e.protocol, r.kind, r.data, r.key, r.severity, e.first_seen, e.last_seen
FROM evidence e JOIN remark r ON r.id = e.remark
WHERE e.ip = %(ip)s::inet AND e.first_seen <= %(at)s
ORDER BY e.port, e.protocol, r.kind, r.key, least(e.last_seen, %(at)s) DESC, e.first_seen DESC, r.id"""

_SIGHTINGS = """
SELECT encode(o.observation_id, 'hex'), s.seen_at, coalesce(nullif(o.facts->>'tool', ''), o.header::json->>'tool', ''),
       o.scan_id, o.scan_type, o.contributor, o.trust, cardinality(s.ports)
FROM sighting s JOIN observation o ON o.seq = s.observation
WHERE s.ip = %(ip)s::inet AND s.seen_at <= %(at)s
ORDER BY s.seen_at DESC, o.seq DESC LIMIT %(sightings)s"""

_NAME_TIMES = """
SELECT min(f), max(l) FROM (
  SELECT first_seen, last_seen FROM hostname WHERE reverse(name) = reverse(%(name)s)
  UNION ALL SELECT first_seen, last_seen FROM name WHERE name = %(name)s) t (f, l)"""
_NAME_ADDRESSES = """
SELECT host(ip) FROM hostname WHERE reverse(name) = reverse(%(name)s) GROUP BY ip ORDER BY ip LIMIT %(limit)s"""
_NAME_REMARKS = """
SELECT DISTINCT ON (r.kind, r.key) r.kind, r.data, r.key, r.severity, min(s.seen_at), max(s.seen_at)
FROM name_sighting s CROSS JOIN LATERAL unnest(s.remarks) AS u (id) JOIN remark r ON r.id = u.id
WHERE s.name = %(name)s
GROUP BY r.id, r.kind, r.data, r.key, r.severity
ORDER BY r.kind, r.key, max(s.seen_at) DESC, min(s.seen_at) DESC, r.id"""


def host(
    database: Database,
    ip: str,
    *,
    at: datetime | None = None,
    history: bool = False,
    lifetimes: Lifetimes = _BUILT_IN,
) -> HostRecord:
    """The graph of `ip`, as it is now or as it was `at` a moment (aware); `history` adds the past and who saw it.

    At a past moment an endpoint is in the version that lasted then (whose `until` tells when that ended), and nothing
    that was first seen later is told. Of each (kind, key) of evidence only the newest is given without `history`; with
    it also each endpoint's earlier versions, oldest first, and the newest 100 sightings. An open endpoint is stale when
    the lifetime of its service in `lifetimes` is over. Raises `NotFound` for a host never seen or not by then, and
    `BadRequest` for what is no address.
    """
    address = _address(ip)
    moment = _END_OF_TIME if at is None else at if at.tzinfo else at.replace(tzinfo=UTC)
    params: dict[str, object] = {
        "ip": address,
        "at": moment,
        "names": MAX_NAMES,
        "past": MAX_PAST,
        "sightings": MAX_SIGHTINGS,
    }
    with database.connection() as connection:
        found, located, names, versions, remarks, *sightings = _ask(
            connection, _statements(history, past=at is not None), params
        )
    if not found:
        raise NotFound(f"No host {address} is known.", hint=f"Scan it: spectra scan {address} --submit")
    first_seen, seen, down_since, system, card = found[0]
    if seen is None:
        raise NotFound(
            f"{address} had not been seen by {moment.isoformat()}.", hint=f"It was first seen {first_seen.isoformat()}."
        )
    mac, vendor = card or ("", "")
    evidence: dict[tuple[int, int], list[EvidenceRecord]] = defaultdict(list)
    for row in remarks:
        evidence[row[0], row[1]].append(_evidence(row[2:], seen))
    return HostRecord(
        ip=address,
        first_seen=first_seen,
        last_seen=seen,
        status="down" if down_since else "up",
        at=moment if at else None,
        down_since=down_since,
        os=system,
        mac=mac,
        vendor=vendor,
        hostnames=tuple(HostnameRecord(name, kind, first, min(last, seen)) for name, kind, first, last in names),
        endpoints=tuple(_endpoints(versions, seen, evidence, lifetimes, history=history)),
        evidence=tuple(evidence[0, 0]),
        sightings=tuple(SightingRecord(*row) for rows in sightings for row in rows),
        place=Place(*located[0][3:]) if located and located[0][2] else None,
        feeds=_feeds(*located[0][:2]) if located else None,
    )


def _statements(history: bool, *, past: bool) -> list[LiteralString]:
    """What is asked of a host: itself, place, names, endpoints, remarks, and with `history` its sightings."""
    if history:
        return [_HOST, _PLACE, _HOSTNAMES, _ENDPOINTS_HISTORY, _EVERY_REMARK, _SIGHTINGS]
    return [_HOST, _PLACE, _HOSTNAMES, _ENDPOINTS_THEN if past else _ENDPOINTS, _NEWEST_REMARKS]


def hostname(database: Database, name: str) -> NameRecord:
    """A name, the addresses it was seen at in order, and the newest of each kind of evidence about the name itself.

    Raises `NotFound`, and `BadRequest` for what cannot be a name.
    """
    name = name.lower().removesuffix(".")
    if not name.isprintable() or len(name) > 1000:
        raise BadRequest("This is not a hostname.", field="name", hint="A name looks like www.example.org.")
    with database.connection() as connection:
        times, addresses, remarks = _ask(
            connection, [_NAME_TIMES, _NAME_ADDRESSES, _NAME_REMARKS], {"name": name, "limit": MAX_NAMES}
        )
    first_seen, last_seen = times[0]
    if first_seen is None:
        hint = f"Perhaps a name below it was: spectra search hostname:{name}"
        raise NotFound(f"No host was seen under the name {name[:253]}.", hint=hint)
    evidence = tuple(_evidence(row, last_seen) for row in remarks)
    return NameRecord(name, first_seen, last_seen, tuple(ip for (ip,) in addresses), evidence)


def _address(ip: str) -> str:
    """The canonical text of `ip`."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError as error:
        raise BadRequest(f"{ip[:80]!r} is not an IP address.", field="ip", hint="For a name ask for it.") from error
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise BadRequest("An address with a zone is known to one machine only.", field="ip")
    return str(address)


def _ask(
    connection: Connection, statements: Sequence[LiteralString], params: dict[str, object]
) -> list[list[tuple[Any, ...]]]:
    """The rows of each statement, all in one round trip."""
    with connection.pipeline():
        cursors = [connection.execute(statement, params) for statement in statements]
        return [cursor.fetchall() for cursor in cursors]


def _endpoints(
    rows: Iterable[tuple[Any, ...]],
    seen: datetime,
    evidence: dict[tuple[int, int], list[EvidenceRecord]],
    lifetimes: Lifetimes,
    *,
    history: bool,
) -> Iterator[EndpointRecord]:
    """Each endpoint of `rows`, in order of port, in its newest version there."""
    lives: dict[tuple[int, int], list[tuple[Any, ...]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row[:2] + row[3:4]):
        lives[row[0], row[1]].append(row)
    for (port, protocol), life in lives.items():
        versions = [_version(row) for row in life]
        current = versions[-1]
        first_seen, last_seen = life[-1][6], min(life[-1][7], seen)
        name = current.service.name if current.service else ""
        yield EndpointRecord(
            **msgspec.structs.asdict(current),
            port=port,
            protocol=PROTOCOL_NAME[protocol],
            first_seen=first_seen,
            last_seen=last_seen,
            stale_at=stale_at(name, last_seen, lifetimes) if current.state == "open" else None,
            evidence=tuple(evidence[port, protocol]),
            history=tuple(versions[:-1]) if history else None,
        )


def _version(row: tuple[Any, ...]) -> VersionRecord:
    """A row of `_DETAILS` as a version."""
    state, since, confirmed, until = row[2:6]
    service, certificate, (banner, title, cpe23, *trust) = row[8:17], row[17:27], row[27:]
    return VersionRecord(
        state=STATE[state],
        since=since,
        confirmed=confirmed,
        until=until,
        service=Service(*service[1:-1], cpe=tuple(service[-1])) if service[0] else None,
        certificate=_certificate(*certificate[1:]) if certificate[0] else None,
        banner=banner,
        title=title,
        cpe23=tuple(cpe23),
        **dict(zip(("trust", "sole", "doubt"), trust, strict=True)),
    )


def _feeds(number: int, feeds: dict[str, dict[str, str]] | None) -> FeedsUsed:
    """The versions of the feed set `number`."""
    return FeedsUsed(number, {name: feed.get("version", "") for name, feed in (feeds or {}).items()})


def _certificate(sha256: str, cn: str, subject: str, issuer: str, *rest: Any) -> Certificate:
    sans, *others = rest
    return Certificate(sha256, cn, subject, issuer, tuple(sans), *others)


def _evidence(row: tuple[Any, ...], seen: datetime) -> EvidenceRecord:
    """A row of kind, data, key, severity and two times; nothing is told as seen later than `seen`."""
    return EvidenceRecord(*row[:4], first_seen=row[4], last_seen=min(row[5], seen))
