"""Hosts that came, came back or stopped answering between two moments.

A host is up from each sighting on, until a probe after it goes unanswered: the `status` of its page.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final, LiteralString, NamedTuple

from spectra.model.diffs import HostChange
from spectra.store.database import Connection
from spectra.store.filters import Condition, Filter, all_of
from spectra.store.rows import canonical_ip

MAX_LISTED: Final = 1000
MAX_HOSTS: Final = 5000
MAX_PROBES: Final = 5000
"""Unanswered probes that are looked at, the newest: scans repeat, so who is silent is so in the newest ones."""


class HostChanges(NamedTuple):
    """What was found, newest first; `exact`: there is no more."""

    changes: tuple[HostChange, ...] = ()
    exact: bool = True

    def count(self, kind: str) -> int:
        """How many of a kind."""
        return Counter(change.kind for change in self.changes)[f"host_{kind}"]

    @property
    def listed(self) -> tuple[HostChange, ...]:
        """Those that go into an answer."""
        return self.changes[:MAX_LISTED]


_CAME: LiteralString = "SELECT host(h.ip), h.first_seen FROM host h WHERE h.first_seen > %s AND h.first_seen <= %s"
_NEWEST: LiteralString = " ORDER BY h.first_seen DESC, h.ip LIMIT %s"
# Hosts in networks of which a probe went unanswered, and for both moments: when each was last seen by then, and the
# first probe without an answer after that.
_PROBED: LiteralString = """
WITH probes AS MATERIALIZED (
  SELECT DISTINCT net FROM (
    (SELECT net FROM silence WHERE seen_at > %s AND seen_at <= %s ORDER BY seen_at DESC LIMIT %s)
    UNION ALL (SELECT net FROM silence WHERE seen_at <= %s ORDER BY seen_at DESC LIMIT %s)) n),
h AS MATERIALIZED (
  SELECT DISTINCT k.ip FROM probes p CROSS JOIN LATERAL ( -- with a limit of its own, so that it is walked by index
    SELECT k.ip FROM host k WHERE k.ip >= host(p.net)::inet AND k.ip <= host(broadcast(p.net))::inet
      AND k.first_seen <= %s LIMIT %s) k
  LIMIT %s)
SELECT host(h.ip), was_silent.at IS NULL, is_silent.at,
       (SELECT min(s.seen_at) FROM sighting s WHERE s.ip = h.ip AND s.seen_at > %s), (SELECT count(*) FROM h)
FROM h
CROSS JOIN LATERAL (SELECT max(s.seen_at) FROM sighting s WHERE s.ip = h.ip AND s.seen_at <= %s) was (seen)
CROSS JOIN LATERAL (
  SELECT min(q.seen_at) FROM silence q
  WHERE q.net >>= h.ip AND q.seen_at > was.seen AND q.seen_at <= %s) was_silent (at)
CROSS JOIN LATERAL (SELECT max(s.seen_at) FROM sighting s WHERE s.ip = h.ip AND s.seen_at <= %s) now (seen)
CROSS JOIN LATERAL (
  SELECT min(q.seen_at) FROM silence q
  WHERE q.net >>= h.ip AND q.seen_at > now.seen AND q.seen_at <= %s) is_silent (at)
WHERE (was_silent.at IS NULL) <> (is_silent.at IS NULL)"""


def host_changes(connection: Connection, since: datetime, until: datetime, wanted: Filter) -> HostChanges:
    """The hosts that are not what they were, after `since`, until `until`.

    Only hosts with an endpoint that satisfies `wanted` now; a filter without conditions asks for none. Bounded.
    """
    if wanted.empty:
        return HostChanges()
    came = _came(connection, since, until, _having(wanted))
    probed, exact = _probed(connection, since, until, _having(wanted))
    found = sorted([*came[:MAX_HOSTS], *probed], key=lambda change: (-change.at.timestamp(), change.ip))
    return HostChanges(tuple(found), exact and len(came) <= MAX_HOSTS)


def _having(wanted: Filter) -> Condition:
    """A condition on hosts `h`, to be put after others."""
    if not wanted.conditions:
        return Condition("")
    held = all_of(wanted.conditions)
    return Condition(f" AND EXISTS (SELECT FROM endpoint e WHERE e.ip = h.ip AND {held.sql})", held.params)


def _came(connection: Connection, since: datetime, until: datetime, having: Condition) -> list[HostChange]:
    statement: LiteralString = _CAME + having.sql + _NEWEST
    rows = connection.execute(statement, (since, until, *having.params, MAX_HOSTS + 1))
    return [HostChange("host_new", canonical_ip(ip), at) for ip, at in rows]


def _probed(
    connection: Connection, since: datetime, until: datetime, having: Condition
) -> tuple[list[HostChange], bool]:
    """Hosts that stopped answering or answer again, and whether all hosts in probed networks were looked at."""
    bounds = (since, until, MAX_PROBES, since, MAX_PROBES, since, MAX_HOSTS, MAX_HOSTS)
    moments = (since, since, since, until, until)
    rows = connection.execute(_PROBED + having.sql, (*bounds, *moments, *having.params)).fetchall()
    found: list[HostChange] = []
    for ip, was_up, silent_at, seen_at, _ in rows:
        at = silent_at if was_up else seen_at
        found.append(HostChange("host_gone" if was_up else "host_back", canonical_ip(ip), at))
    return found, not rows or rows[0][4] < MAX_HOSTS
