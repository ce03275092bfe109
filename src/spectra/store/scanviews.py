"""What a scan saw of some hosts, by the log of its observations."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

from spectra.errors import NotFound
from spectra.store.database import Connection
from spectra.store.details import Stretch
from spectra.store.rows import canonical_ip
from spectra.store.timeline import OPEN, Look, fold

SILENT: Final = "silent"
"""The state of every port of a host that was probed and did not answer."""
MAX_OBSERVATIONS: Final = 10_000

_OBSERVATIONS: LiteralString = """
SELECT seq, swept::text FROM observation WHERE scan_id = %s AND status = 'merged' ORDER BY seq LIMIT %s"""
_LOG: LiteralString = """
SELECT host(s.ip), s.seen_at, s.observation, s.rest::text, s.ports, s.states, s.services, s.certificates, s.banners
FROM sighting s WHERE s.observation = ANY(%s) AND s.ip = ANY(%s::inet[]) ORDER BY s.ip, s.seen_at, s.observation"""
_SILENCE: LiteralString = """
SELECT host(i.ip), max(q.seen_at) FROM unnest(%s::inet[]) AS i (ip) JOIN silence q ON q.net >>= i.ip
WHERE q.observation = ANY(%s) GROUP BY i.ip"""


class Scan(NamedTuple):
    """The observations of a scan id, and the bounds of the ports that each of them swept (protocol << 16 | port)."""

    scan_id: str
    swept: dict[int, list[int]]

    @classmethod
    def load(cls, connection: Connection, scan_id: str) -> Scan:
        """The scan of this id; raises `NotFound`. Of one with more observations than 10,000 the first."""
        rows = connection.execute(_OBSERVATIONS, (scan_id, MAX_OBSERVATIONS)).fetchall()
        if not rows:
            hint = "spectra observations list shows the scans there are."
            raise NotFound(f"No scan {scan_id[:200]!r} is known.", hint=hint)
        parsed = {text: _bounds(text) for _, text in rows}
        return cls(scan_id, {seq: parsed[text] for seq, text in rows})

    @property
    def observations(self) -> list[int]:
        """The sequence numbers of its observations."""
        return list(self.swept)

    def holds(self, observation: int, packed: int) -> bool:
        """Whether an observation swept a port: inside a range, an odd number of bounds lies at or below it."""
        return bisect_right(self.swept.get(observation, ()), packed) % 2 == 1

    def views(self, connection: Connection, ips: Sequence[str]) -> dict[str, View]:
        """What it saw of `ips`; those it knows nothing of are left out."""
        views: dict[str, View] = {}
        for row in connection.execute(_LOG, (self.observations, list(ips))):
            views.setdefault(canonical_ip(row[0]), View(self)).add(row[1:])
        unseen = [ip for ip in ips if ip not in views]
        for ip, at in connection.execute(_SILENCE, (unseen, self.observations)) if unseen else ():
            views[canonical_ip(ip)] = View(self, silent_at=at)
        return views


class View:
    """One host as one scan saw it."""

    def __init__(self, scan: Scan, silent_at: datetime | None = None) -> None:
        self.silent_at = silent_at
        self.seen_at: datetime | None = None
        self._scan = scan
        self._looks: dict[int, list[Look]] = defaultdict(list)
        self._rests: list[tuple[datetime, int, str]] = []

    def add(self, sighting: Sequence[Any]) -> None:
        """Take in one row of the log, in order of time."""
        at, observation, rest, ports, states, *ids = sighting
        services, certificates, banners = (held or [None] * len(ports) for held in ids)
        for look in zip(ports, states, services, certificates, banners, strict=True):
            self._looks[look[0]].append(Look(at, observation.to_bytes(8), *look[1:]))
        if rest:
            self._rests.append((at, observation, rest))
        self.seen_at = at

    @property
    def opened(self) -> set[int]:
        """The ports that are open in it (protocol << 16 | port)."""
        return {packed for packed in self._looks if (seen := self.at(packed)) and seen.state == OPEN}

    def at(self, packed: int) -> Stretch | None:
        """What it saw of a port; None where it did not look."""
        if self.silent_at:
            return _bare(SILENT, self.silent_at)
        looks = [*self._looks.get(packed, ()), *self._swept(packed)]
        if not looks:
            return None
        versions = fold(looks)  # empty where it was never open
        if not versions:
            last = max(looks, key=lambda look: look.at)
            return _bare(last.state, last.at)
        v = versions[-1]
        return Stretch(v.state, v.service, v.certificate, v.banner, v.since, v.confirmed)

    def _swept(self, packed: int) -> list[Look]:
        """The looks at a port that was swept and not listed."""
        listed = {look.tie for look in self._looks.get(packed, ())}
        return [
            Look(at, tie, rest)
            for at, observation, rest in self._rests
            if (tie := observation.to_bytes(8)) not in listed and self._scan.holds(observation, packed)
        ]


def _bare(state: str, at: datetime) -> Stretch:
    return Stretch(state, None, None, None, at, at)


def _bounds(multirange: str) -> list[int]:
    """The bounds of PostgreSQL's `{[a,b),[c,d)}`, flat and ascending."""
    return [int(n) for n in multirange.strip("{}").replace("[", "").replace(")", "").split(",") if n]
