"""What would a rule have told? Its query and bounds, tried on what is stored of the past."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from spectra.act.notify import occurring, trials
from spectra.flow import alertlook
from spectra.model.alerts import Kind, Occurrence, Rule, Trial
from spectra.model.query import Query, parse
from spectra.store import alertchain, alerttimes
from spectra.store.alertchain import Piece
from spectra.store.alertfound import Source
from spectra.store.alertseen import Noticed
from spectra.store.database import Connection, Database

MAX_SUBMISSIONS: Final = 5000
"""Submissions that are looked at at most, the newest."""
MAX_THINGS: Final = 20_000
MAX_SHOWN: Final = 100
PATIENCE_S: Final = 5.0
"""How long submissions are looked at; those before are left out."""
_MAX_ACTS: Final = 5000
_SEEN: Final[frozenset[Kind]] = frozenset(
    ("host.new", "port.opened", "service.new", "service.changed", "certificate.changed", "host.gone")
)
_NOTES: Final[dict[Kind, str]] = {
    "finding.new": "Weaknesses that were closed or settled since are not among them.",
    "kev.match": "Weaknesses that were closed or settled since are not among them.",
    "certificate.expiring": "Only certificates that are still in use are among them.",
    "worker.lost": "When machines were lost before is not kept: those that are lost now are told.",
    "feed.stale": "When feeds were too old before is not kept: those that are now are told.",
    "envelope.refused": "How often each sender was refused is kept in total only, with the last time.",
}


def trial(
    database: Database, rule: Rule, days: int, now: datetime, *, steady: Callable[[], float] = time.monotonic
) -> Trial:
    """What `rule` would have told in the last `days`. Raises `BadRequest` where it cannot be looked at."""
    alertlook.check(rule, now)
    query, since = parse(rule.query, now), now - timedelta(days=days)
    with database.connection() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found, reached = _seen(connection, rule, query, since, until=steady() + PATIENCE_S, steady=steady)
        found += _others(connection, rule, query, reached, now)
    found = sorted((one for one in found if reached <= one.at <= now), key=lambda one: one.at)
    cut = len(found) > MAX_THINGS
    if cut:
        found = found[-MAX_THINGS:]
        reached = found[0].at
    made = trials.trial(rule, found)
    return Trial(
        from_=reached,
        to=now,
        things=len(found),
        alerts_total=len(made),
        messages=sum(one.messages for one in made),
        alerts=tuple(made[:MAX_SHOWN]),
        complete=reached == since,
        notes=tuple(dict.fromkeys(note for kind in rule.on if (note := _NOTES.get(kind)))),
    )


def _seen(
    connection: Connection,
    rule: Rule,
    query: Query,
    since: datetime,
    *,
    until: float,
    steady: Callable[[], float],
) -> tuple[list[Occurrence], datetime]:
    """What submissions changed, the newest looked at first, and how far back that went."""
    if not _SEEN & set(rule.on):
        return [], since
    pieces, complete = alertchain.pieces(connection, since, MAX_SUBMISSIONS)
    told: list[Occurrence] = []
    reached = since
    while pieces and len(told) <= MAX_THINGS:
        piece = pieces.pop()
        # It would have been told when it was brought, however old the scan was; when that was is known by the piece.
        reached = alertchain.received(connection, piece.observations[0])
        found = _piece(connection, rule, query, piece)
        told += [one if one.at >= reached else replace(one, at=reached) for one in found]
        if steady() > until:
            break
    return told, since if complete and not pieces else max(since, reached)


def _piece(connection: Connection, rule: Rule, query: Query, piece: Piece) -> list[Occurrence]:
    changes = Noticed(connection, piece.observations, piece.after, piece.endpoints)
    found = alertlook.worded(connection, changes, alertlook.seen(connection, rule, query, changes))
    if "host.gone" in rule.on:
        found += occurring.of_gone(alerttimes.gone(connection, query, piece.observations, rule.gone_days))
    return found


def _others(connection: Connection, rule: Rule, query: Query, since: datetime, now: datetime) -> list[Occurrence]:
    told: list[Occurrence] = []
    on = set(rule.on)
    if on & {"finding.new", "kev.match"}:
        told += alertlook.found(connection, rule, query, Source(learned=since, until=now))
    if "certificate.expiring" in on:
        ahead = timedelta(days=rule.expires_days)
        for one in alerttimes.expiring(connection, query, since + ahead, now + ahead):
            told += occurring.of_expiring([one], one.not_after - ahead)
    if "worker.lost" in on:
        told += occurring.of_lost(alerttimes.lost(connection), now)
    if "feed.stale" in on:
        told += occurring.of_stale(alerttimes.stale(connection, now - timedelta(days=rule.stale_days)), now)
    if "envelope.refused" in on:
        told += occurring.of_refusals(alerttimes.refused_since(connection, since))
    if "job.ended" in on:
        told += occurring.of_ended(alerttimes.ended(connection, since, now, new=False))
    if "signin.strange" in on:
        told += occurring.of_acts(alertchain.acts(connection, since, _MAX_ACTS))
    return told
