"""What a rule would have told: its things in order of time, as they would have made alerts and messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from spectra.act.notify import quiet, thresholds, wording
from spectra.act.notify.grouping import EVERYTHING, MAX_OPEN, key_of
from spectra.model.alerts import LASTING, Occurrence, Rule, TrialAlert

_MAX_LINES: Final = 20


@dataclass(slots=True)
class _Alert:
    """One that is being made. `told`: when people were told; `untold` things came since. `lasting` of its things
    last; the others happened as `recent` has it.
    """

    key: str
    last: datetime
    things: dict[str, Occurrence] = field(default_factory=dict[str, Occurrence])
    recent: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    total: int = 0
    lasting: int = 0
    told: datetime | None = None
    untold: int = 0
    messages: int = 0
    held: int = 0


def trial(rule: Rule, found: Iterable[Occurrence]) -> list[TrialAlert]:
    """The alerts that `rule` would have made of what was found, the newest first. What lasts is taken to last."""
    ended: list[_Alert] = []
    going: dict[str, _Alert] = {}
    for one in sorted(found, key=lambda one: one.at):
        key = key_of(rule.group, one)
        if key not in going and len(going) >= MAX_OPEN:
            key = EVERYTHING
        alert = going.get(key)
        if alert is not None and _over(rule, alert, one.at):
            if alert.told is not None:
                ended.append(_told_rest(rule, alert))
            alert = None
        if alert is None:
            alert = going[key] = _Alert(key, one.at)
        _take(rule, alert, one)
    ended += [_told_rest(rule, alert) for alert in going.values() if alert.told is not None]
    return sorted((_record(alert) for alert in ended), key=lambda one: one.last, reverse=True)


def _over(rule: Rule, alert: _Alert, now: datetime) -> bool:
    """Whether an alert had ended by now; or what did not become one, been forgotten."""
    if alert.lasting:
        return False
    after = rule.window_s if alert.told is None else rule.calm_s
    return now - alert.last > timedelta(seconds=after)


def _take(rule: Rule, alert: _Alert, one: Occurrence) -> None:
    known = one.key in alert.things
    if known and one.kind in LASTING:
        return
    _again(rule, alert, one.at)
    alert.things[one.key] = one
    alert.total += one.times
    alert.last = one.at
    alert.untold += not known
    lasts = one.kind in LASTING
    alert.lasting += lasts
    recent = thresholds.added(alert.recent, [] if lasts else [one])
    alert.recent = thresholds.within(recent, rule.window_s, one.at)
    # What lasts counts for as long as it does, the rest as often as it happened lately.
    if alert.told is None and alert.lasting + thresholds.total(alert.recent) >= rule.threshold:
        _send(rule, alert, one.at)
    else:
        _again(rule, alert, one.at)


def _again(rule: Rule, alert: _Alert, now: datetime) -> None:
    """Tell what waits to be told, where it is time for it."""
    if alert.told is not None and alert.untold and alert.told + timedelta(seconds=rule.gather_s) <= now:
        _send(rule, alert, max(alert.told + timedelta(seconds=rule.gather_s), alert.last))


def _told_rest(rule: Rule, alert: _Alert) -> _Alert:
    if alert.told is not None and alert.untold:
        _send(rule, alert, max(alert.told + timedelta(seconds=rule.gather_s), alert.last))
    return alert


def _send(rule: Rule, alert: _Alert, now: datetime) -> None:
    alert.told, alert.untold = now, 0
    alert.messages += 1
    alert.held += quiet.held_until(rule.quiet, rule.severity, now) is not None


def _record(alert: _Alert) -> TrialAlert:
    things: Sequence[Occurrence] = sorted(alert.things.values(), key=lambda one: one.at)
    newest = things[-1]
    lines = [one.title for one in reversed(things)][:_MAX_LINES]
    return TrialAlert(
        key=alert.key,
        kind=things[0].kind,
        title=wording.title_of(alert.key, [one.kind for one in things], newest.title, len(things)),
        first=things[0].at,
        last=alert.last,
        count=alert.total,
        messages=alert.messages,
        held=alert.held,
        lines=tuple(lines),
    )
