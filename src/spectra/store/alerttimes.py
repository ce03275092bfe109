"""What comes with time, or is told by no entry of the chain: certificates that run out, hosts that do not answer any
more, machines that are not heard, feeds that are old, refusals and jobs that ended; and what of it is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString, NamedTuple

from spectra.model.query import Query
from spectra.store.database import Connection
from spectra.store.filters import all_of, resolve
from spectra.store.lookups import hurried
from spectra.store.timeline import PROTOCOL_NAME

MAX_FOUND: Final = 5000
"""Things of a kind that a rule is told of in one look at most."""


class Expiring(NamedTuple):
    """A certificate in use that runs out; `sha256` in hex."""

    ip: str
    port: int
    number: int
    sha256: str
    subject: str
    not_after: datetime

    @property
    def protocol(self) -> str:
        """The protocol by its name."""
        return PROTOCOL_NAME[self.number]


class Gone(NamedTuple):
    """A host that a probe did not find, and when it was seen last."""

    ip: str
    probed: datetime
    last_seen: datetime


class Lost(NamedTuple):
    """A machine that is not heard any more, and since when."""

    node: str
    last_seen: datetime | None


class Stale(NamedTuple):
    """A feed that could not be fetched since, and why."""

    feed: str
    since: datetime
    error: str


class Refusal(NamedTuple):
    """What was refused, to whom, and how often since it was asked last."""

    kind: str
    who: str
    detail: str
    last: datetime
    times: int


class Ended(NamedTuple):
    """A job that ended."""

    job: str
    what: str
    cancelled: bool
    ended: datetime
    found: int


# At hosts ------------------------------------------------------------------------------------------------------------

_EXPIRING: LiteralString = """
SELECT host(e.ip), e.port, e.protocol, encode(c.sha256, 'hex'), c.subject_cn, c.not_after
FROM certificate c JOIN endpoint e ON e.certificate = c.id
WHERE {which} AND {held} ORDER BY c.not_after, e.ip, e.port LIMIT %s"""
# The few that run out are found among what was seen before endpoints are looked at: a batch may tell of a million.
_AT: LiteralString = """(e.ip, e.port, e.protocol) IN (
    SELECT g.ip, p.port & 65535, p.port >> 16
    FROM sighting g CROSS JOIN LATERAL unnest(g.ports, g.certificates) AS p (port, certificate)
    JOIN certificate x ON x.id = p.certificate
    WHERE g.observation = ANY(%s::int8[]) AND g.certificates IS NOT NULL AND x.not_after > %s AND x.not_after <= %s)
  AND c.not_after > %s AND c.not_after <= %s"""
_GONE: LiteralString = """
SELECT DISTINCT host(h.ip), x.seen_at, h.last_seen
FROM silence q JOIN host h ON h.ip BETWEEN host(q.net)::inet AND host(broadcast(q.net))::inet
JOIN silent_host x ON x.ip = h.ip
WHERE q.observation = ANY(%s::int8[]) AND x.seen_at = q.seen_at AND x.seen_at > h.last_seen
  AND x.seen_at - h.last_seen >= %s AND {held}
ORDER BY x.seen_at, 1 LIMIT %s"""


def expiring(connection: Connection, query: Query, after: datetime, until: datetime) -> list[Expiring]:
    """Certificates in use that run out after one moment and until another."""
    return _expiring(connection, query, "c.not_after > %s AND c.not_after <= %s", [after, until])


def expiring_at(
    connection: Connection, query: Query, observations: Sequence[int], after: datetime, until: datetime
) -> list[Expiring]:
    """The same of what these submissions saw."""
    if not observations:
        return []
    return _expiring(connection, query, _AT, [list(observations), after, until, after, until])


def _expiring(connection: Connection, query: Query, which: LiteralString, params: list[object]) -> list[Expiring]:
    wanted = resolve(connection, query)
    if wanted.empty:
        return []
    held = all_of(wanted.conditions)
    statement = _EXPIRING.format(which=which, held=held.sql)
    with hurried(connection, really=wanted.costly):
        rows = connection.execute(statement, [*params, *held.params, MAX_FOUND]).fetchall()
    return [Expiring(*row) for row in rows]


def gone(connection: Connection, query: Query, observations: Sequence[int], days: int) -> list[Gone]:
    """Hosts that these submissions probed without an answer, and that were seen last so many days before."""
    if not observations:
        return []
    held: LiteralString = "true"
    params: tuple[object, ...] = ()
    wanted = resolve(connection, query) if query.terms else None
    if wanted is not None:
        if wanted.empty:
            return []
        condition = all_of(wanted.conditions)
        held, params = f"EXISTS (SELECT FROM endpoint e WHERE e.ip = h.ip AND {condition.sql})", condition.params
    statement = _GONE.format(held=held)
    with hurried(connection, really=bool(wanted and wanted.costly)):
        rows = connection.execute(statement, [list(observations), timedelta(days=days), *params, MAX_FOUND]).fetchall()
    return [Gone(*row) for row in rows]


# Of the mesh ---------------------------------------------------------------------------------------------------------


def lost(connection: Connection) -> list[Lost]:
    """Machines that belong here and are not heard any more."""
    rows = connection.execute(
        "SELECT n.name, greatest(p.last_seen, b.at) FROM node n JOIN node_presence p ON p.node = n.name"
        " LEFT JOIN node_beat b ON b.node = n.name"
        " WHERE p.presence = 'dead' AND n.standing IN ('active', 'quarantined') ORDER BY n.name"
    ).fetchall()
    return [Lost(*row) for row in rows]


def stale(connection: Connection, before: datetime) -> list[Stale]:
    """Feeds that are fetched, and were not with success since a moment: of places and of weaknesses."""
    rows = connection.execute(
        """SELECT name, least(updated, checked), error FROM feed
           WHERE source <> 'upload' AND (checked < %(before)s OR error <> '' AND updated < %(before)s)
           UNION ALL
           SELECT name, least(coalesce(updated, checked), checked), error FROM vuln_source
           WHERE starts_with(source, 'http')
             AND (checked < %(before)s OR error <> '' AND coalesce(updated, '-infinity') < %(before)s)
           ORDER BY 1""",
        {"before": before},
    ).fetchall()
    return [Stale(*row) for row in rows]


def refused(connection: Connection) -> list[Refusal]:
    """What was refused since this was asked last, each refusal once."""
    rows = connection.execute(
        """UPDATE node_refusal r SET alerted = r.count FROM (
             SELECT kind, who, alerted FROM node_refusal WHERE count > alerted ORDER BY kind, who FOR UPDATE) b
           WHERE (r.kind, r.who) = (b.kind, b.who)
           RETURNING r.kind, r.who, r.detail, r.last, r.count - b.alerted"""
    ).fetchall()
    return [Refusal(*row) for row in rows]


def refused_since(connection: Connection, since: datetime) -> list[Refusal]:
    """What was refused since then, with how often ever."""
    rows = connection.execute(
        "SELECT kind, who, detail, last, count FROM node_refusal WHERE last >= %s ORDER BY last", [since]
    ).fetchall()
    return [Refusal(*row) for row in rows]


def ended(connection: Connection, after: datetime, until: datetime, *, new: bool) -> list[Ended]:
    """Jobs that ended after one moment until another; `new`: that no alert tells of."""
    rows = connection.execute(
        """SELECT j.id, j.what, j.decision = 'cancelled', j.ended, coalesce((j.counts::json->>'found')::int8, 0)
           FROM job j WHERE j.ended > %(after)s AND j.ended <= %(until)s AND NOT (%(new)s AND EXISTS (
             SELECT FROM alert_subject s WHERE s.key = 'job.ended|' || j.id))
           ORDER BY j.ended LIMIT %(most)s""",
        {"after": after, "until": until, "new": new, "most": MAX_FOUND},
    ).fetchall()
    return [Ended(*row) for row in rows]


# What is over --------------------------------------------------------------------------------------------------------

_HEARD: LiteralString = """
UPDATE alert_subject s SET over = %s WHERE s.over IS NULL AND s.kind = 'worker.lost' AND NOT EXISTS (
  SELECT FROM node n JOIN node_presence p ON p.node = n.name
  WHERE n.name = s.name AND p.presence = 'dead' AND n.standing IN ('active', 'quarantined'))"""
_BACK: LiteralString = """
UPDATE alert_subject s SET over = %s FROM host h
WHERE s.over IS NULL AND s.kind = 'host.gone' AND h.ip = s.ip AND h.last_seen > s.at"""
_RENEWED: LiteralString = """
UPDATE alert_subject s SET over = %s WHERE s.over IS NULL AND s.kind = 'certificate.expiring' AND NOT EXISTS (
  SELECT FROM endpoint e JOIN certificate c ON c.id = e.certificate
  WHERE (e.ip, e.port) = (s.ip, s.port) AND e.state = 'o' AND encode(c.sha256, 'hex') = s.name
    AND e.protocol = CASE s.protocol WHEN 'tcp' THEN 6 WHEN 'udp' THEN 17 WHEN 'sctp' THEN 132 END)"""


def over(connection: Connection, now: datetime) -> int:
    """Mark what alerts tell of and is so no longer: machines that are heard, hosts that answer, certificates that were
    replaced; how much.
    """
    return sum(connection.execute(statement, [now]).rowcount for statement in (_HEARD, _BACK, _RENEWED))


def fetched(connection: Connection, rule: str, still: Sequence[str], now: datetime) -> int:
    """Mark feeds of a rule's alerts that are not among those that are `still` too old; how many."""
    return connection.execute(
        "UPDATE alert_subject s SET over = %s FROM alert a WHERE a.num = s.alert AND a.rule = %s AND s.over IS NULL"
        " AND s.kind = 'feed.stale' AND s.name <> ALL(%s::text[])",
        [now, rule, list(still)],
    ).rowcount
