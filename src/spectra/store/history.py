"""The late path: the life of some hosts' endpoints folded again from the log, and written in place of what was there.

Runs inside the transaction that holds the locks of those hosts' rows. The cost is the length of the hosts' logs, paid
only for observations that arrive after a newer one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from spectra.store.database import Connection
from spectra.store.rows import EndpointRow, encode
from spectra.store.timeline import OPEN, Look, Version, fold

Key = tuple[str, int, int]
"""An endpoint: ip text, protocol number, port."""

_LOG = """
SELECT host(s.ip), s.seen_at, o.observation_id, s.rest, s.ports, s.states, s.services, s.certificates, s.banners,
       CASE WHEN s.rest IS NULL THEN NULL ELSE s.observation END
FROM sighting s JOIN observation o ON o.seq = s.observation
WHERE s.ip = ANY(%s::inet[])
ORDER BY s.ip, s.seen_at, o.observation_id"""
_SWEPT = "SELECT seq, swept FROM observation WHERE seq = ANY(%s)"

_CLEAR = """
WITH past AS (DELETE FROM endpoint_version WHERE ip = ANY(%(ips)s::inet[]))
DELETE FROM endpoint WHERE ip = ANY(%(ips)s::inet[])"""
_COLUMNS = """ip inet, port int4, protocol int2, state "char", service uuid, certificate uuid, banner uuid,
  since timestamptz, confirmed timestamptz, until timestamptz, first_seen timestamptz, last_seen timestamptz"""
_CURRENT = f"""
INSERT INTO endpoint (ip, port, protocol, state, service, certificate, banner, since, confirmed, first_seen, last_seen)
SELECT ip, port, protocol, state, service, certificate, banner, since, confirmed, first_seen, last_seen
FROM json_to_recordset(%s::json) AS r ({_COLUMNS}) ORDER BY ip, port, protocol"""
_PAST = f"""
INSERT INTO endpoint_version (ip, port, protocol, state, service, certificate, banner, since, confirmed, until)
SELECT ip, port, protocol, state, service, certificate, banner, since, confirmed, until
FROM json_to_recordset(%s::json) AS r ({_COLUMNS})"""


class Sighting(NamedTuple):
    """A row of the log, joined with the id of its observation."""

    ip: str
    at: datetime
    observation_id: bytes
    rest: str
    ports: Sequence[int]
    states: str
    services: Sequence[Any] | None
    certificates: Sequence[Any] | None
    banners: Sequence[Any] | None
    observation: int | None  # only where `rest` is told


class VersionRow(EndpointRow, omit_defaults=True, kw_only=True):
    """A version on its way to `endpoint` or `endpoint_version`; `at` is not used."""

    since: datetime
    confirmed: datetime
    until: datetime | None = None
    first_seen: datetime | None = None
    last_seen: datetime | None = None


def rewrite(connection: Connection, ips: Sequence[str]) -> None:
    """Fold the log of `ips` (locked by the caller) and replace their endpoints and versions."""
    current: list[VersionRow] = []
    past: list[VersionRow] = []
    for key, versions in lives(connection, ips):
        rows = list(_rows(key, versions))
        past += rows[:-1]
        current += rows[-1:]
    connection.execute(_CLEAR, {"ips": list(ips)})
    connection.execute(_CURRENT, [encode(current).decode()])
    connection.execute(_PAST, [encode(past).decode()])


def lives(connection: Connection, ips: Sequence[str]) -> Iterator[tuple[Key, list[Version]]]:
    """Every endpoint of `ips` that was ever open, with all its versions, by the log alone."""
    sightings = [_sighting(row) for row in connection.execute(_LOG, [list(ips)])]
    wanted = sorted({s.observation for s in sightings if s.observation is not None})
    swept = {seq: _ranges(ranges) for seq, ranges in connection.execute(_SWEPT, [wanted])} if wanted else {}
    by_host: dict[str, list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        by_host[sighting.ip].append(sighting)
    for ip, log in by_host.items():
        for packed, looks in _looks(log, swept).items():
            if versions := fold(looks):
                yield (ip, packed >> 16, packed & 0xFFFF), versions


def _looks(log: Iterable[Sighting], swept: dict[int, list[tuple[int, int]]]) -> dict[int, list[Look]]:
    """The looks at each endpoint, listed or swept. Life begins at the first open look, so earlier ones may be left."""
    looks: dict[int, list[Look]] = {}
    for s in log:
        for i, (packed, state) in enumerate(zip(s.ports, s.states, strict=True)):
            if state == OPEN or packed in looks:
                looks.setdefault(packed, []).append(
                    Look(
                        s.at,
                        s.observation_id,
                        state,
                        s.services[i] if s.services else None,
                        s.certificates[i] if s.certificates else None,
                        s.banners[i] if s.banners else None,
                    )
                )
        if s.observation is None:
            continue
        listed = set(s.ports)
        ranges = swept.get(s.observation, [])
        for packed, earlier in looks.items():
            if packed not in listed and any(low <= packed < high for low, high in ranges):
                earlier.append(Look(s.at, s.observation_id, s.rest))
    return looks


def _rows(key: Key, versions: list[Version]) -> Iterator[VersionRow]:
    ip, protocol, port = key
    first_open = versions[0].since
    last_open = max(v.confirmed for v in versions if v.state == OPEN)
    for version, following in zip(versions, [*versions[1:], None], strict=True):
        yield VersionRow(
            ip,
            port,
            protocol,
            version.state,
            version.since,
            version.service and version.service.hex,
            version.certificate and version.certificate.hex,
            version.banner and version.banner.hex,
            since=version.since,
            confirmed=version.confirmed,
            until=following and following.since,
            first_seen=first_open,
            last_seen=last_open,
        )


def _sighting(row: tuple[Any, ...]) -> Sighting:
    ip, at, observation_id, rest, *others = row
    rest = rest.decode() if isinstance(rest, bytes) else rest or ""
    return Sighting(ip, at, observation_id, rest, *others)


def _ranges(multirange: Iterable[Any]) -> list[tuple[int, int]]:
    return [(r.lower, r.upper) for r in multirange]
