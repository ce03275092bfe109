"""The life of a finding: when an endpoint had a weakness, as far as is known. Pure, and the definition.

An endpoint has one version after the other (`Stay`), and of the software of each of them it was told at some time that
a CVE concerns it, and perhaps later that it does not (`Told`). Observation and knowledge are two clocks:

- Software counts as affected from ever, whenever that was learned, until its source takes it back; told once more, it
  counts anew from then. So a weakness published in July was there in May, and a scan of May says so in July.
- An endpoint is affected while it is open in a version whose software is. Stretches that follow on each other without
  a gap are one interval, whatever service rows they are of: an upgrade that does not help does not close a finding.

Of an interval `opened` is when the endpoint was first observed so; `known` when it was first told; `closed` the first
moment at which it was not affected any more, None while it is. Why it ended: `gone`, the port was found closed;
`upgraded`, something else was seen there that is not affected (as far as is known by now: software that was not looked
at yet counts as not affected); `withdrawn`, the source took it back while the service was still there.

What is known of software that has been identified anew, by a better matcher, is known of it for all of its past.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

from spectra.model.findings import Affected

State = Literal["new", "open", "closed", "reopened"]
Why = Literal["", "upgraded", "gone", "withdrawn"]

FRESH: Final = timedelta(days=7)
"""How long a finding is new: since it was opened or became known, whichever came later."""
_EVER: Final = datetime.min.replace(tzinfo=UTC)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Stay(NamedTuple):
    """A version of an endpoint: from `since` until `until` (None while it lasts), and what ran there by then.

    `service` and `software` are the ids of the rows; None where nothing is known.
    """

    open: bool
    since: datetime
    until: datetime | None = None
    service: UUID | None = None
    software: int | None = None


class Told(NamedTuple):
    """That a CVE concerns a software: told at `since`, taken back at `until` (None: it holds)."""

    since: datetime
    until: datetime | None
    why: Affected


class Interval(NamedTuple):
    """A stretch of time in which an endpoint was affected; `told` and `stay` are the last that say so."""

    opened: datetime
    known: datetime
    closed: datetime | None
    closed_why: Why
    told: Told
    stay: Stay


def intervals(stays: Iterable[Stay], told: Mapping[int, Sequence[Told]]) -> list[Interval]:
    """The intervals of one endpoint and one CVE, oldest first; `told` has what was said of each software.

    Stays that overlap, or lists of `told` that do, are not expected; both may come in any order.
    """
    ordered = sorted(stays, key=lambda stay: stay.since)
    found: list[Interval] = []
    for index, stay in enumerate(ordered):
        after = ordered[index + 1] if index + 1 < len(ordered) else None
        for piece in _pieces(stay, after, told):
            if found and found[-1].closed == piece.opened:
                last = found.pop()
                found.append(piece._replace(opened=last.opened, known=min(last.known, piece.known)))
            else:
                found.append(piece)
    return found


def _pieces(stay: Stay, after: Stay | None, told: Mapping[int, Sequence[Told]]) -> Iterable[Interval]:
    """When the endpoint was affected within one version."""
    if not stay.open or stay.software is None:
        return
    leaves = stay.until or _NEVER
    first = True
    for one in sorted(told.get(stay.software, ()), key=lambda one: one.since):
        begins = max(stay.since, _EVER if first else one.since)
        ends = min(leaves, one.until or _NEVER)
        first = False
        if begins >= ends:
            continue
        why: Why = ""
        if ends == leaves and stay.until is not None:
            why = "upgraded" if after is not None and after.open and after.since == stay.until else "gone"
        elif one.until is not None and ends == one.until:
            why = "withdrawn"
        yield Interval(begins, one.since, None if ends == _NEVER else ends, why, one, stay)


def then(
    stays: Iterable[Stay], told: Mapping[int, Sequence[Told]], at: datetime
) -> tuple[list[Stay], dict[int, list[Told]]]:
    """Both as they were at a moment: what was seen and told by then, with nothing of what became of it later."""
    seen = [
        stay._replace(until=None if stay.until and stay.until > at else stay.until)
        for stay in stays
        if stay.since <= at
    ]
    known = {
        software: [
            one._replace(until=None if one.until and one.until > at else one.until) for one in all_ if one.since <= at
        ]
        for software, all_ in told.items()
    }
    return seen, known


def state(lived: Sequence[Interval], now: datetime) -> State:
    """What the finding with these intervals (at least one) is at `now`.

    `reopened` outweighs `new`: that it is back says more than that it came lately.
    """
    last = lived[-1]
    if last.closed is not None:
        return "closed"
    if len(lived) > 1:
        return "reopened"
    return "new" if max(last.opened, last.known) > now - FRESH else "open"
