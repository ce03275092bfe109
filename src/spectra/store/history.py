"""The late path: observations of hosts about which something newer is known already.

Most late looks agree with the version they fall into and change nothing. One that falls between that version's last
confirmation and the next version extends it. Only the others make their endpoint's life be folded again from the log,
beginning with the version they fall into and seeded with the one before it: the fold is a state machine, so what lies
before cannot change. So do all looks at an endpoint that an untrusted contributor ever looked at: what a look weighs
there depends on when others confirmed it.

Runs inside the transaction that holds the locks of the hosts' rows, after their sightings were added to the log.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from spectra.store.database import Connection
from spectra.store.rows import EndpointRow, HostRow, encode
from spectra.store.timeline import OPEN, TRUSTED, Look, Version, fold

Key = tuple[str, int, int]
"""An endpoint: ip text, protocol number, port."""

# Where each late look falls. `anchor` is the beginning of the version that holds its moment, NULL before the first. A
# look at the very beginning of a version may undo it, so that one is folded again from the version before.
_PLACE = """
WITH look AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%(looks)s::json) AS r (ip inet, port int4, protocol int2, state "char",
    at timestamptz, service uuid, certificate uuid, banner uuid)),
swept AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%(hosts)s::json) AS r (ip inet, at timestamptz, rest "char") WHERE rest IS NOT NULL),
said AS (
  SELECT ip, port, protocol, state, at, service, certificate, banner FROM look
  UNION ALL
  SELECT e.ip, e.port, e.protocol, s.rest, s.at, NULL, NULL, NULL
  FROM swept s JOIN endpoint e ON e.ip = s.ip
  WHERE (e.protocol::int4 << 16 | e.port) <@ %(swept)s::int4multirange
    AND NOT EXISTS (SELECT FROM look l WHERE (l.ip, l.port, l.protocol) = (e.ip, e.port, e.protocol))),
placed AS (
  SELECT s.ip, s.port, s.protocol, s.at, s.state AS said, v.since AS anchor, v.confirmed, v.newest,
    %(trust)s::real BETWEEN %(trusted)s AND v.trust AND NOT v.untrusted AND s.state = v.state AND
       (s.banner IS NULL OR s.banner IS NOT DISTINCT FROM v.banner) AND
      (s.state = 'o' AND s.service IS NULL OR s.service IS NOT DISTINCT FROM v.service) AND
      (s.state = 'o' AND s.certificate IS NULL OR s.certificate IS NOT DISTINCT FROM v.certificate) AS agrees
  FROM said s LEFT JOIN LATERAL (
    SELECT state, service, certificate, banner, since, confirmed, true AS newest, trust, untrusted FROM endpoint e
    WHERE (e.ip, e.port, e.protocol) = (s.ip, s.port, s.protocol) AND e.since <= s.at
    UNION ALL
    SELECT state, service, certificate, banner, since, confirmed, false, trust, (
      SELECT untrusted FROM endpoint e WHERE (e.ip, e.port, e.protocol) = (p.ip, p.port, p.protocol))
    FROM endpoint_version p
    WHERE (p.ip, p.port, p.protocol) = (s.ip, s.port, s.protocol) AND p.since <= s.at AND p.until > s.at
    ORDER BY since DESC LIMIT 1) v ON true)
SELECT host(ip), port, protocol, at, newest, coalesce(agrees, false),
  CASE WHEN anchor < at THEN anchor ELSE (
    SELECT max(since) FROM endpoint_version b
    WHERE (b.ip, b.port, b.protocol) = (placed.ip, placed.port, placed.protocol) AND b.since < placed.at) END
FROM placed
WHERE CASE WHEN anchor IS NULL THEN said = 'o' ELSE NOT agrees OR at > confirmed END"""

_KEYS = "json_to_recordset(%s::json) AS k (ip inet, port int4, protocol int2, at timestamptz)"
_EXTEND_NEWEST = f"""
UPDATE endpoint e SET confirmed = k.at, last_seen = CASE WHEN e.state = 'o' THEN k.at ELSE e.last_seen END
FROM {_KEYS} WHERE (e.ip, e.port, e.protocol) = (k.ip, k.port, k.protocol)"""
_EXTEND_PAST = f"""
WITH extended AS (
  UPDATE endpoint_version p SET confirmed = k.at FROM {_KEYS}
  WHERE (p.ip, p.port, p.protocol) = (k.ip, k.port, k.protocol) AND p.since <= k.at AND p.until > k.at
  RETURNING p.ip, p.port, p.protocol, p.state, p.confirmed)
UPDATE endpoint e SET last_seen = x.confirmed FROM extended x
WHERE (e.ip, e.port, e.protocol) = (x.ip, x.port, x.protocol) AND x.state = 'o' AND e.last_seen < x.confirmed"""

# What stays of an endpoint whose life is folded again from `at` on: the version before, and when it was first and last
# seen open until then.
_SEEDS = f"""
SELECT host(k.ip), k.protocol, k.port, p.state, p.service, p.certificate, p.banner, p.since, p.confirmed,
       p.trust, p.sole, p.doubt, o.first, o.last, coalesce(e.untrusted, false)
FROM {_KEYS}
LEFT JOIN LATERAL (
  SELECT * FROM endpoint_version v WHERE (v.ip, v.port, v.protocol) = (k.ip, k.port, k.protocol) AND v.since < k.at
  ORDER BY v.since DESC LIMIT 1) p ON true
LEFT JOIN LATERAL (
  SELECT min(since) AS first, max(confirmed) AS last FROM endpoint_version v
  WHERE (v.ip, v.port, v.protocol) = (k.ip, k.port, k.protocol) AND v.since < k.at AND v.state = 'o') o ON true
LEFT JOIN endpoint e ON (e.ip, e.port, e.protocol) = (k.ip, k.port, k.protocol)"""

_CLEAR = f"""
WITH k AS MATERIALIZED (SELECT * FROM {_KEYS}),
past AS (
  DELETE FROM endpoint_version v USING k
  WHERE (v.ip, v.port, v.protocol) = (k.ip, k.port, k.protocol) AND v.since >= k.at)
DELETE FROM endpoint e USING k WHERE (e.ip, e.port, e.protocol) = (k.ip, k.port, k.protocol)"""
_COLUMNS = """ip inet, port int4, protocol int2, state "char", service uuid, certificate uuid, banner uuid,
  since timestamptz, confirmed timestamptz, until timestamptz, first_seen timestamptz, last_seen timestamptz,
  trust real, sole text, doubt text, untrusted bool"""
_CURRENT = f"""
INSERT INTO endpoint (ip, port, protocol, state, service, certificate, banner, since, confirmed, first_seen, last_seen,
  place, trust, sole, doubt, untrusted)
SELECT r.ip, port, protocol, state, service, certificate, banner, since, confirmed, r.first_seen, r.last_seen, h.place,
  trust, sole, doubt, untrusted
FROM json_to_recordset(%s::json) AS r ({_COLUMNS}) JOIN host h ON h.ip = r.ip ORDER BY r.ip, port, protocol"""
_PAST = f"""
INSERT INTO endpoint_version
  (ip, port, protocol, state, service, certificate, banner, since, confirmed, until, trust, sole, doubt)
SELECT ip, port, protocol, state, service, certificate, banner, since, confirmed, until, trust, sole, doubt
FROM json_to_recordset(%s::json) AS r ({_COLUMNS})"""

_LOG = """
SELECT host(s.ip), s.seen_at, o.observation_id, s.rest, s.ports, s.states, s.services, s.certificates, s.banners,
       CASE WHEN s.rest IS NULL THEN NULL ELSE s.observation END, o.trust, o.contributor
FROM json_to_recordset(%s::json) AS k (ip inet, at timestamptz)
JOIN sighting s ON s.ip = k.ip AND (k.at IS NULL OR s.seen_at >= k.at)
JOIN observation o ON o.seq = s.observation
ORDER BY s.ip, s.seen_at, o.observation_id"""
_SWEPT = "SELECT seq, swept::text FROM observation WHERE seq = ANY(%s)"


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
    trust: float
    by: str


class VersionRow(EndpointRow, kw_only=True):
    """A version on its way to `endpoint` or `endpoint_version`; `at` is not used."""

    since: datetime
    confirmed: datetime
    trust: float
    sole: str
    doubt: str
    untrusted: bool
    until: datetime | None = None
    first_seen: datetime | None = None
    last_seen: datetime | None = None


class Anchor(EndpointRow, omit_defaults=True):
    """An endpoint of `Key` and the moment from which it is folded again, in `at`."""


class _Seed(NamedTuple):
    """What is known of an endpoint before its anchor."""

    version: Version | None
    first_open: datetime | None
    last_open: datetime | None
    untrusted: bool


def settle(
    connection: Connection, hosts: Sequence[HostRow], looks: Sequence[EndpointRow], swept: str, trust: float
) -> None:
    """Put late looks, trusted as far as `trust`, in their places. `swept` is the multirange (text) that the hosts'
    `rest` speaks of.
    """
    placed = connection.execute(
        _PLACE,
        {
            "looks": encode(looks).decode(),
            "hosts": encode(hosts).decode(),
            "swept": swept,
            "trust": trust,
            "trusted": TRUSTED,
        },
    ).fetchall()
    newest: list[Anchor] = []
    past: list[Anchor] = []
    again: list[Anchor] = []
    for ip, port, protocol, at, is_newest, agrees, anchor in placed:
        if agrees:
            (newest if is_newest else past).append(Anchor(ip, port, protocol, "", at))
        else:
            again.append(Anchor(ip, port, protocol, "", anchor or at))
    if newest:
        connection.execute(_EXTEND_NEWEST, [encode(newest).decode()])
    if past:
        connection.execute(_EXTEND_PAST, [encode(past).decode()])
    if again:
        _fold_again(connection, again)


def _fold_again(connection: Connection, anchors: list[Anchor]) -> None:
    keys = encode(anchors).decode()
    seeds = {(row[0], row[1], row[2]): _seed(row[3:]) for row in connection.execute(_SEEDS, [keys])}
    wanted = {(a.ip, a.protocol, a.port): a.at for a in anchors}
    since: dict[str, datetime] = {}
    for a in anchors:
        since[a.ip] = min(a.at, since.get(a.ip, a.at))
    # An endpoint is looked at from its first open look on, or from its anchor if a version lies before that.
    born = {key: wanted[key] for key, seed in seeds.items() if seed.version}
    looks = _looks_by_endpoint(connection, since, born)
    current: list[VersionRow] = []
    past: list[VersionRow] = []
    for key, at in wanted.items():
        seed = seeds[key]
        heard = [look for look in looks.get(key, ()) if look.at >= at]
        untrusted = seed.untrusted or any(look.trust < TRUSTED for look in heard)
        rows = list(_rows(key, fold(heard, seed.version), seed, untrusted))
        past += rows[:-1]
        current += rows[-1:]
    connection.execute(_CLEAR, [keys])
    connection.execute(_CURRENT, [encode(current).decode()])
    connection.execute(_PAST, [encode(past).decode()])


def lives(connection: Connection, ips: Sequence[str]) -> Iterator[tuple[Key, list[Version], bool]]:
    """Every endpoint of `ips` that was ever open, with all its versions and whether an untrusted contributor looked,
    by the log alone.
    """
    for key, looks in _looks_by_endpoint(connection, dict.fromkeys(ips), {}).items():
        if versions := fold(looks):
            yield key, versions, any(look.trust < TRUSTED for look in looks)


def _looks_by_endpoint(
    connection: Connection, since: dict[str, datetime] | dict[str, None], born: dict[Key, datetime]
) -> dict[Key, list[Look]]:
    """The looks at every endpoint of the hosts in `since`, from that moment on; those in `born` were open before."""
    hosts = encode([{"ip": ip, "at": at} for ip, at in since.items()]).decode()
    log = [_sighting(row) for row in connection.execute(_LOG, [hosts])]
    swept = _Swept(connection, {s.observation for s in log if s.observation is not None})
    by_host: dict[str, list[Sighting]] = defaultdict(list)
    for sighting in log:
        by_host[sighting.ip].append(sighting)
    alive: dict[str, dict[int, list[Look]]] = defaultdict(dict)
    for ip, protocol, port in born:
        alive[ip][protocol << 16 | port] = []
    return {
        (ip, packed >> 16, packed & 0xFFFF): looks
        for ip, sightings in by_host.items()
        for packed, looks in _looks(sightings, swept, alive[ip]).items()
    }


class _Swept:
    """Which ports each observation swept; equal sweeps are parsed once, since scans repeat."""

    def __init__(self, connection: Connection, observations: set[int]) -> None:
        rows = connection.execute(_SWEPT, [sorted(observations)]).fetchall() if observations else []
        parsed = {text: _bounds(text) for _, text in rows}
        self._bounds: dict[int, list[int]] = {seq: parsed[text] for seq, text in rows}

    def holds(self, observation: int, packed: int) -> bool:
        """Whether `observation` looked at this port: inside a range, an odd number of bounds lies at or below it."""
        return bisect_right(self._bounds.get(observation, ()), packed) % 2 == 1


def _bounds(multirange: str) -> list[int]:
    """The bounds of PostgreSQL's `{[a,b),[c,d)}`, flat and ascending."""
    return [int(n) for n in multirange.strip("{}").replace("[", "").replace(")", "").split(",") if n]


def _looks(log: Iterable[Sighting], swept: _Swept, looks: dict[int, list[Look]]) -> dict[int, list[Look]]:
    """The looks at each endpoint, listed or swept. Life begins at the first open look, so earlier ones may be left."""
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
                        s.trust,
                        s.by,
                    )
                )
        if s.observation is None:
            continue
        listed = set(s.ports)
        for packed, earlier in looks.items():
            if packed not in listed and swept.holds(s.observation, packed):
                earlier.append(Look(s.at, s.observation_id, s.rest, trust=s.trust, by=s.by))
    return looks


def _rows(key: Key, versions: list[Version], seed: _Seed, untrusted: bool) -> Iterator[VersionRow]:
    if not versions:
        return
    ip, protocol, port = key
    opened = [v.confirmed for v in versions if v.state == OPEN]
    first_open = seed.first_open or versions[0].since
    last_open = max([*opened, seed.last_open] if seed.last_open else opened)
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
            trust=version.trust,
            sole=version.sole,
            doubt=version.doubt,
            untrusted=untrusted,
            until=following and following.since,
            first_seen=first_open,
            last_seen=last_open,
        )


def _seed(row: tuple[Any, ...]) -> _Seed:
    state, *others, first_open, last_open, untrusted = row
    if state is None:
        return _Seed(None, None, None, untrusted)
    return _Seed(Version(_letter(state), *others), first_open, last_open, untrusted)


def _sighting(row: tuple[Any, ...]) -> Sighting:
    ip, at, observation_id, rest, *others = row
    return Sighting(ip, at, observation_id, _letter(rest), *others)


def _letter(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")
