"""One look of the rules at what happened: what each of them finds, and what becomes of it.

All of a look is one transaction, that of the place in the chain it has come to: what was found is told exactly once,
and a coordinator that dies in the middle has told nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from spectra.act.notify import grouping, occurring, quiet, thresholds, wording
from spectra.errors import SpectraError
from spectra.model.alerts import Kind, Occurrence, Rule
from spectra.model.query import Query, parse
from spectra.store import alertchain, alertfound, alertrules, alerts, alertseen, alerttimes, alertwrite
from spectra.store.accounts import Act
from spectra.store.alertchain import Batch, Watch
from spectra.store.alertfound import Source
from spectra.store.alertseen import Noticed
from spectra.store.alertwrite import Look, Ways
from spectra.store.database import Connection, unavailable
from spectra.store.provenance import Entry

_log = logging.getLogger("spectra.alerts")

WAYS: Final = Ways(
    gathered=grouping.gathered,
    added=thresholds.added,
    within=thresholds.within,
    held_until=quiet.held_until,
    title_of=wording.title_of,
    message=wording.message,
)
BY: Final = "spectra"
"""Who made the rules that are there from the first start on."""
FIRST: Final = (
    Rule(
        name="exploited-weakness",
        on=("kev.match",),
        severity="critical",
        outlets=("*",),
        note="A host has a weakness that is known to be exploited.",
    ),
    Rule(
        name="submission-refused",
        on=("envelope.refused",),
        severity="high",
        outlets=("*",),
        group="each",
        calm_s=3600,
        note="Somebody sent a submission that is forged, or one that was sent before.",
    ),
    Rule(name="machine-lost", on=("worker.lost",), severity="high", outlets=("*",), resolved=True),
    Rule(name="strange-sign-in", on=("signin.strange",), severity="high", outlets=("*",), group="each"),
    Rule(name="feed-too-old", on=("feed.stale",), severity="medium", outlets=("*",), group="rule", gather_s=3600),
    Rule(
        name="certificate-runs-out",
        on=("certificate.expiring",),
        severity="medium",
        outlets=("*",),
        expires_days=14,
        gather_s=3600,
    ),
)
"""What is watched for from the first start on, told to every outlet there is."""
_SLACK: Final = timedelta(minutes=5)
"""What was written by then is looked at again: its transaction may have ended later than it says."""
_WAIT: Final = timedelta(minutes=5)
"""How long weaknesses of a submission are waited for."""
_AROUND: Final = timedelta(hours=1)
_AT_ENDPOINTS: Final[tuple[Kind, ...]] = ("port.opened", "service.new", "service.changed", "certificate.changed")
_SEEN: Final[frozenset[Kind]] = frozenset((*_AT_ENDPOINTS, "host.new"))
_FOUND: Final[frozenset[Kind]] = frozenset(("finding.new", "kev.match"))


class Looked(NamedTuple):
    """How far a look came: there is `more` to look at, weaknesses are waited for, so many messages wait."""

    more: bool = False
    waiting: bool = False
    deliveries: int = 0


class _News(NamedTuple):
    """What happened, before any rule has looked at it."""

    batch: Batch
    changes: Noticed
    weak: Source
    lost: list[Occurrence]
    refused: list[Occurrence]
    ended: list[Occurrence]
    acts: list[Occurrence]


def look(connection: Connection, now: datetime, *, slow: bool) -> tuple[Looked, list[Entry]]:
    """Look once, on a connection in a transaction; `slow`: also at what comes with time, and at what is over."""
    watch = alertchain.hold(connection, now)
    if watch is None:  # another coordinator is at it
        return Looked(), []
    entries = alertrules.add_first(connection, FIRST, Act(BY, now)) if watch.first else []
    rules = alertrules.held(connection)
    kinds: set[Kind] = {kind for rule, _ in rules for kind in rule.on}
    batch = alertchain.batch(connection, watch.seq)
    later, waits = _later(connection, watch, batch, kinds, now)
    news = _news(connection, watch, (batch, Batch(later.after, later.after) if waits else later), kinds, now)
    if slow:
        alertfound.over(connection, now)
        alerttimes.over(connection, now)
        alerts.sweep(connection, now)
    this = Look(connection, now, WAYS, alertrules.held_mutes(connection, now))
    deliveries = 0
    for rule, looked in rules:
        done = _look(this, rule, looked, news, slow=slow)
        entries += done.entries
        deliveries += done.deliveries
    found = watch.found if waits else later.upto
    alertchain.move(connection, seq=batch.upto, found=found, now=now)
    return Looked(batch.more or (later.more and not waits), waits, deliveries), entries


def _later(connection: Connection, watch: Watch, batch: Batch, kinds: set[Kind], now: datetime) -> tuple[Batch, bool]:
    """What to look for weaknesses at, and whether they are still being looked for."""
    if not kinds & _FOUND:
        return Batch(watch.found, batch.upto), False
    later = alertchain.batch(connection, watch.found, upto=batch.upto)
    young = later.at is not None and now - later.at < _WAIT
    waits = bool(later.observations) and young and alertchain.unready(connection, later.observations)
    return later, waits


def _news(connection: Connection, watch: Watch, batches: tuple[Batch, Batch], kinds: set[Kind], now: datetime) -> _News:
    """What was seen in the first of `batches`, and weaknesses of what was in the second."""
    batch, later = batches
    changes = _changes(connection, batch if kinds & _SEEN else Batch(batch.upto, batch.upto))
    found = Noticed(connection)
    if kinds & _FOUND and alertfound.any_open(connection, exploited="finding.new" not in kinds):
        same = kinds & _SEEN and (later.after, later.upto) == (batch.after, batch.upto)
        found = changes if same else _changes(connection, later)
    return _News(
        batch,
        changes,
        _weak(connection, watch, found, kinds, now),
        occurring.of_lost(alerttimes.lost(connection), now) if "worker.lost" in kinds else [],
        _refused(connection, watch),
        _ended(connection, watch, now) if "job.ended" in kinds else [],
        occurring.of_acts(batch.acts),
    )


def _changes(connection: Connection, batch: Batch) -> Noticed:
    return Noticed(connection, batch.observations, batch.after, batch.endpoints)


def _weak(connection: Connection, watch: Watch, found: Noticed, kinds: set[Kind], now: datetime) -> Source:
    if not kinds & _FOUND:
        return Source()
    exploited: tuple[str, ...] = ()
    if watch.first or alertfound.kev_changed(connection):
        exploited = alertfound.newly_exploited(connection, first=watch.first)
    learned = max(watch.looked - _SLACK, watch.started)
    return Source(occurring.endpoints_of(found.endpoints), learned, now + _SLACK, exploited)


def _refused(connection: Connection, watch: Watch) -> list[Occurrence]:
    """Taken note of whoever asks: a rule that is made later tells of what comes then."""
    found = alerttimes.refused(connection)
    return [] if watch.first else occurring.of_refusals(found)


def _ended(connection: Connection, watch: Watch, now: datetime) -> list[Occurrence]:
    return occurring.of_ended(alerttimes.ended(connection, max(watch.looked - _SLACK, watch.started), now, new=True))


# One rule ------------------------------------------------------------------------------------------------------------


def _look(look: Look, rule: Rule, looked: datetime | None, news: _News, *, slow: bool) -> alertwrite.Done:
    """What becomes of what a rule finds. What goes wrong with one rule is told of it, and stops no other."""
    try:
        with unavailable(), look.connection.transaction():
            found = _find(look, rule, looked, news, slow=slow)
            done = alertwrite.apply(look, rule, found, partial(worded, look.connection, news.changes))
            if slow:
                over = alertwrite.settle(look, rule)
                done = alertwrite.Done([*done.entries, *over.entries], done.deliveries + over.deliveries)
                alertrules.looked(look.connection, [rule.name], look.now)
            alertrules.troubled(look.connection, rule.name, "")
    except SpectraError as error:
        if error.reason in ("database_away", "disk_full", "conflict"):
            raise
        _log.warning("a rule could not be looked at", extra={"rule.name": rule.name, "error.message": error.message})
        alertrules.troubled(look.connection, rule.name, error.message)
        return alertwrite.Done([])
    return done


def _find(look: Look, rule: Rule, looked: datetime | None, news: _News, *, slow: bool) -> list[Occurrence]:
    query = parse(rule.query, look.now)
    on = set(rule.on)
    found = _at_hosts(look.connection, rule, query, news)
    found += _found(look.connection, rule, query, news.weak)
    found += _with_time(look, rule, query, looked, news, slow=slow)
    for kind, things in (
        ("worker.lost", news.lost),
        ("envelope.refused", news.refused),
        ("job.ended", news.ended),
        ("signin.strange", news.acts),
    ):
        found += things if kind in on else ()
    return found


def _at_hosts(connection: Connection, rule: Rule, query: Query, news: _News) -> list[Occurrence]:
    found: list[Occurrence] = []
    if _SEEN & set(rule.on):
        found += seen(connection, rule, query, news.changes)
    if "host.gone" in rule.on:
        found += occurring.of_gone(alerttimes.gone(connection, query, news.batch.observations, rule.gone_days))
    return found


def seen(connection: Connection, rule: Rule, query: Query, changes: Noticed) -> list[Occurrence]:
    """What a rule finds in what submissions changed, `worded` later. For a new host a query holds by what is seen there
    in an hour.
    """
    kinds: list[Kind] = [kind for kind in rule.on if kind in _AT_ENDPOINTS]
    by_host = "host.new" in rule.on and bool(query.terms and changes.hosts)
    asked = changes.endpoints if kinds or by_host else ()
    if query.terms and not by_host:
        asked = [one for one in asked if any(kind in kinds for kind in one.kinds)]
    matching = alertseen.matching(connection, query, asked)
    found = occurring.of_changes(matching, kinds)
    if "host.new" not in rule.on:
        return found
    at: dict[str, datetime] = {}
    for one in matching:
        at[one.ip] = min(one.at, at.get(one.ip, one.at))
    hosts = [(ip, on) for ip, on in changes.hosts if not query.terms or (ip in at and at[ip] - on <= _AROUND)]
    return found + occurring.of_hosts(hosts)


def worded(connection: Connection, changes: Noticed, things: Sequence[Occurrence]) -> list[Occurrence]:
    """The same with words for what was `seen`."""
    bare = [one for one in things if not one.title]
    kinds = {(one.ip, one.port, one.protocol, one.at): one.kind for one in bare if one.protocol}
    ips = {ip for ip, *_ in kinds}
    some = [one for one in changes.endpoints if one.ip in ips] if kinds else []
    changed = [(one, kinds.get((one.ip, one.port, one.protocol, one.at))) for one in some]
    told = [one for one, kind in changed if kind == "port.opened"]
    told += alertseen.described(connection, [one for one, kind in changed if kind not in (None, "port.opened")])
    hosts = {one.ip for one in bare if not one.protocol}
    return occurring.worded(things, told, changes.ports(hosts) if hosts else {})


def _found(connection: Connection, rule: Rule, query: Query, weak: Source) -> list[Occurrence]:
    if not weak.endpoints and not weak.exploited and weak.learned is None:
        return []
    return found(connection, rule, query, weak)


def found(connection: Connection, rule: Rule, query: Query, weak: Source) -> list[Occurrence]:
    """The weaknesses that a rule finds, each once: as one that is exploited, where it watches for those."""
    told: list[Occurrence] = []
    if "kev.match" in rule.on:
        told += occurring.of_weaknesses(alertfound.weaknesses(connection, query, weak, exploited=True), "kev.match")
    if "finding.new" in rule.on:
        known = {(one.ip, one.port, one.protocol, one.cve) for one in told}
        more = alertfound.weaknesses(connection, query, weak, exploited=False)
        told += occurring.of_weaknesses(
            [one for one in more if (one.ip, one.port, one.protocol, one.cve) not in known], "finding.new"
        )
    return told


def _with_time(
    look: Look, rule: Rule, query: Query, looked: datetime | None, news: _News, *, slow: bool
) -> list[Occurrence]:
    connection, now = look.connection, look.now
    told: list[Occurrence] = []
    if "certificate.expiring" in rule.on:
        ahead = timedelta(days=rule.expires_days)
        expiring = alerttimes.expiring_at(connection, query, news.batch.observations, now, now + ahead)
        if slow:
            expiring += alerttimes.expiring(connection, query, looked + ahead if looked else now, now + ahead)
        told += occurring.of_expiring(expiring, now)
    if slow and "feed.stale" in rule.on:
        stale = alerttimes.stale(connection, now - timedelta(days=rule.stale_days))
        alerttimes.fetched(connection, rule.name, [one.feed for one in stale], now)
        told += occurring.of_stale(stale, now)
    return told


def check(rule: Rule, now: datetime) -> None:
    """Raise `BadRequest` naming the field where a rule cannot be looked at: its query, or its time zone."""
    parse(rule.query, now)
    if rule.quiet is not None:
        quiet.zone_of(rule.quiet)
