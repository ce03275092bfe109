"""What one scan saw against what another saw, by the log of what was observed.

Only what both looked at is compared: a port that is listed, or that was swept where the tool told the state of the
rest. Of a host that a scan probed in vain, every port is `silent`. What only one scan speaks of is counted and no
more: the other may not have looked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, LiteralString, NamedTuple

import msgspec

from spectra.errors import BadRequest
from spectra.model.diffs import DiffEntry, DiffPage, DiffSummary, HostChange, Kind, changes, kind_of
from spectra.model.query import Query
from spectra.store import cursors, findingdiff
from spectra.store.database import Connection, Database
from spectra.store.details import Details, Stretch
from spectra.store.diff import ENDPOINT
from spectra.store.filters import Filter, all_of, resolve
from spectra.store.findingdiff import Sides, with_briefs
from spectra.store.hostdiff import MAX_LISTED
from spectra.store.lookups import hurried
from spectra.store.rows import canonical_ip, encode
from spectra.store.scanviews import Scan, View
from spectra.store.timeline import OPEN, PROTOCOL_NAME

MAX_LIMIT: Final = 1000
CHUNK_HOSTS: Final = 500
CHUNK_PORTS: Final = 50_000
"""Hosts, and ports of theirs, that are compared together."""
MAX_HOSTS: Final = 4000
MAX_PORTS: Final = 100_000
"""Hosts, and ports of theirs, that one answer compares."""

_LAST: Final = 1 << 40  # after every port
_IPS: LiteralString = """
SELECT host(s.ip), sum(cardinality(s.ports)) FROM sighting s
WHERE s.observation = ANY(%s) AND s.ip {beyond} %s::inet GROUP BY s.ip ORDER BY s.ip LIMIT %s"""
_HITS: LiteralString = """
WITH sides AS (
  SELECT {endpoint}, g.ip, g.port, g.protocol, g.state, g.service, g.certificate, g.banner, g.since, g.confirmed,
         g.confirmed AS last_seen, c.trust, c.sole, c.doubt
  FROM json_to_recordset(%s::json) AS g (ip inet, port int4, protocol int2, state "char", service uuid,
    certificate uuid, banner uuid, since timestamptz, confirmed timestamptz)
  LEFT JOIN endpoint c ON (c.ip, c.port, c.protocol) = (g.ip, g.port, g.protocol))
SELECT DISTINCT host(e.ip), e.protocol::int4 << 16 | e.port FROM sides e WHERE {held}"""


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The rest of a comparison: after which port of which host it goes on."""

    before: str
    after: str
    ip: str
    packed: int
    summary: DiffSummary


class _Pair(NamedTuple):
    """A port in two scans that may differ; `packed` is protocol << 16 | port."""

    ip: str
    packed: int
    before: Stretch
    after: Stretch


class _Chunk(NamedTuple):
    """Some hosts compared: what differs, in order, and what only one scan speaks of."""

    last_ip: str
    entries: list[DiffEntry]
    pairs: list[_Pair]  # what each entry is of
    hosts: list[HostChange]
    one_sided: int
    compared: tuple[int, int]  # hosts, ports


def scandiff(
    database: Database,
    scans: tuple[str, str],
    query: Query,
    *,
    kind: Kind | Literal[""] = "",
    cursor: str = "",
    limit: int = 100,
    findings: bool = False,
) -> DiffPage:
    """A page of at most `limit` (1..1000) differences between two scans, by address and port; with `findings` those of
    each, as far as is known by now.

    `cursor` is the `next_cursor` of the page before, and its scans go before `scans`. Raises `NotFound` for a scan of
    which nothing is known and `BadRequest` naming `limit` or `cursor`.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(f"A limit of {limit} is not between 1 and {MAX_LIMIT}.", field="limit")
    resumed = cursors.read(cursor, Cursor, "scan diff") if cursor else None
    before, after = (resumed.before, resumed.after) if resumed else scans
    with database.connection() as connection:
        wanted = resolve(connection, query) if query.terms else None
        work = _Comparison(connection, Scan.load(connection, before), Scan.load(connection, after), wanted)
        page = _Page(kind, limit, resumed)
        with hurried(connection, really=wanted is not None and wanted.costly):
            ended = page.fill(work)
        entries = page.entries[:limit]
        if findings:
            sides = [_sides(pair) for pair in page.pairs[:limit]]
            entries = with_briefs(entries, findingdiff.briefs(connection, sides, None))
    summary = resumed.summary if resumed else page.summary(exact=ended)
    key = page.key(ended)
    return DiffPage(
        from_=before,
        to=after,
        by="scan",
        summary=summary,
        hosts=() if resumed else tuple(page.hosts[:MAX_LISTED]),
        entries=tuple(entries),
        next_cursor=cursors.write(Cursor(before, after, *key, summary), "scan diff") if key else "",
    )


class _Page:
    """What a page gathers on its way over the hosts."""

    def __init__(self, kind: str, limit: int, resumed: Cursor | None) -> None:
        self.entries: list[DiffEntry] = []
        self.pairs: list[_Pair] = []
        self.hosts: list[HostChange] = []
        self._kind = kind
        self._limit = limit
        self._resumed = resumed
        self._counts = Counter[str]()
        self._one_sided = 0
        self._last_ip = resumed.ip if resumed else ""

    def fill(self, work: _Comparison) -> bool:
        """Compare until the page is full, or as far as one answer goes; the first page goes all that way, to count.

        Returns whether no host is left.
        """
        hosts = ports = 0
        for chunk in work.chunks(self._resumed):
            self._take(chunk)
            hosts, ports = hosts + chunk.compared[0], ports + chunk.compared[1]
            full = self._resumed and len(self.entries) > self._limit
            if full or hosts >= MAX_HOSTS or ports >= MAX_PORTS:
                return False
        return True

    def _take(self, chunk: _Chunk) -> None:
        self._counts.update(entry.kind for entry in chunk.entries)
        self._one_sided += chunk.one_sided
        self._last_ip = chunk.last_ip
        self.hosts += chunk.hosts
        for entry, pair in zip(chunk.entries, chunk.pairs, strict=True):
            wanted = self._kind in ("", entry.kind) and not self._is_before(entry)
            if wanted and len(self.entries) <= self._limit:
                self.entries.append(entry)
                self.pairs.append(pair)

    def _is_before(self, entry: DiffEntry) -> bool:
        resumed = self._resumed
        return resumed is not None and entry.ip == resumed.ip and _packed(entry) <= resumed.packed

    def key(self, ended: bool) -> tuple[str, int] | None:
        """Where the next page goes on."""
        if len(self.entries) > self._limit:
            last = self.entries[self._limit - 1]
            return last.ip, _packed(last)
        return None if ended else (self._last_ip, _LAST)

    def summary(self, *, exact: bool) -> DiffSummary:
        """The numbers of all that was compared."""
        came = Counter(change.kind for change in self.hosts)
        return DiffSummary(
            new=self._counts["new"],
            gone=self._counts["gone"],
            changed=self._counts["changed"],
            hosts_new=came["host_new"],
            hosts_gone=came["host_gone"],
            exact=exact,
            one_sided=self._one_sided,
        )


class _Comparison:
    """Two scans, host by host in order of address."""

    def __init__(self, connection: Connection, before: Scan, after: Scan, wanted: Filter | None) -> None:
        self._connection = connection
        self._before = before
        self._after = after
        self._wanted = wanted

    def chunks(self, resumed: Cursor | None) -> Iterator[_Chunk]:
        """Every host that one of them saw, from where the page before ended."""
        if self._wanted and self._wanted.empty:
            return
        observations = [*self._before.observations, *self._after.observations]
        amidst = resumed is None or resumed.packed < _LAST  # of a host: it is compared again
        statement: LiteralString = _IPS.format(beyond=">=" if amidst else ">")
        start = resumed.ip if resumed else "0.0.0.0/0"  # the least of all
        while rows := self._connection.execute(statement, (observations, start, CHUNK_HOSTS)).fetchall():
            ips, ports = _few_enough(rows)
            yield self._chunk(ips, ports)
            statement, start = _IPS.format(beyond=">"), ips[-1]

    def _chunk(self, ips: list[str], ports: int) -> _Chunk:
        before = self._before.views(self._connection, ips)
        after = self._after.views(self._connection, ips)
        pairs: list[_Pair] = []
        alone: list[_Pair] = []
        hosts: list[HostChange] = []
        for ip in ips:
            was, is_ = before.get(ip), after.get(ip)
            pairs += _pairs(ip, was, is_)
            alone += _alone(ip, was, is_)
            if was and is_ and bool(was.silent_at) != bool(is_.silent_at):
                at = is_.silent_at or is_.seen_at
                assert at is not None  # a view has one of them
                hosts.append(HostChange("host_gone" if is_.silent_at else "host_new", ip, at))
        pairs, alone = self._asked(pairs), self._asked(alone)
        details = Details(self._connection, (side for p in pairs for side in (p.before, p.after)))
        told = [(entry, pair) for pair in pairs if (entry := _entry(pair, details))]
        entries = [entry for entry, _ in told]
        if self._wanted:
            hosts = [change for change in hosts if change.ip in {entry.ip for entry in entries}]
        return _Chunk(ips[-1], entries, [pair for _, pair in told], hosts, len(alone), (len(ips), ports))

    def _asked(self, pairs: list[_Pair]) -> list[_Pair]:
        """Those of which one side satisfies the query."""
        if self._wanted is None or not pairs:
            return pairs
        held = all_of(self._wanted.conditions)
        rows = encode([_row(pair, side) for pair in pairs for side in {pair.before, pair.after}]).decode()
        statement: LiteralString = _HITS.format(endpoint=ENDPOINT, held=held.sql)
        found = self._connection.execute(statement, (rows, *held.params))
        hits = {(canonical_ip(ip), packed) for ip, packed in found}
        return [pair for pair in pairs if (pair.ip, pair.packed) in hits]


def _few_enough(rows: Sequence[tuple[Any, ...]]) -> tuple[list[str], int]:
    """As many hosts as may be compared together, at least one, and how many ports were told of them."""
    ips: list[str] = []
    ports = 0
    for ip, listed in rows:
        if ips and ports + listed > CHUNK_PORTS:
            break
        ips.append(canonical_ip(ip))
        ports += listed
    return ips, ports


def _pairs(ip: str, was: View | None, is_: View | None) -> Iterator[_Pair]:
    """The ports that both looked at and that differ as far as their ids tell."""
    if was is None or is_ is None:
        return
    for packed in sorted(was.opened | is_.opened):
        before, after = was.at(packed), is_.at(packed)
        if before and after and before[:4] != after[:4]:
            yield _Pair(ip, packed, before, after)


def _alone(ip: str, was: View | None, is_: View | None) -> Iterator[_Pair]:
    """The open ports of which one scan tells and the other nothing."""
    for one, other in ((was, is_), (is_, was)):
        for packed in one.opened if one else ():
            seen = one.at(packed) if one else None
            if seen and (other is None or other.at(packed) is None):
                yield _Pair(ip, packed, seen, seen)


def _entry(pair: _Pair, details: Details) -> DiffEntry | None:
    before, after = details.version(pair.before), details.version(pair.after)
    kind = kind_of(before, after)
    if kind is None:
        return None
    return DiffEntry(
        kind=kind,
        ip=pair.ip,
        port=pair.packed & 0xFFFF,
        protocol=PROTOCOL_NAME[pair.packed >> 16],
        at=after.since,
        before=before,
        after=after,
        changes=changes(before, after) if kind == "changed" else (),
    )


def _sides(pair: _Pair) -> Sides:
    return Sides.of((pair.ip, pair.packed & 0xFFFF, pair.packed >> 16), pair.before, pair.after)


def _packed(entry: DiffEntry) -> int:
    number = next(number for number, name in PROTOCOL_NAME.items() if name == entry.protocol)
    return number << 16 | entry.port


def _row(pair: _Pair, side: Stretch) -> dict[str, object]:
    """A side as `_HITS` reads it; a silent port is no open one."""
    return {
        "ip": pair.ip,
        "port": pair.packed & 0xFFFF,
        "protocol": pair.packed >> 16,
        "state": side.state if side.state == OPEN else "c" if len(side.state) > 1 else side.state,
        "service": side.service,
        "certificate": side.certificate,
        "banner": side.banner,
        "since": side.since,
        "confirmed": side.confirmed,
    }
