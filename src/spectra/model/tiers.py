"""Free and Pro: who may see what is known of weaknesses, and how an account comes to that.

Pure, and the definition. What is counted are endpoints that an observation made fresh (`store/ledger.py` says which);
days are days of UTC, so that a day's bound and the window mean the same at every coordinator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

Tier = Literal["free", "pro"]
Mode = Literal["own", "earned", "everyone"]
Hand = Literal["pro", "free", "auto"]
Why = Literal["admin", "everyone", "granted", "withheld", "own", "earned", "not_earned"]

OUTSIDE: Final = frozenset({"contributor", "module"})
"""Roles of who submits from outside. Whoever has another one is of the node's own people: an admin gave it to them."""


class Policy(NamedTuple):
    """By which rule accounts are Pro; `daily_cap` 0: no bound on what counts of one day."""

    mode: Mode = "own"
    threshold: int = 1000
    window_days: int = 30
    daily_cap: int = 500

    def counted(self, fresh: int) -> int:
        """What counts of the endpoints that one account made fresh on one day."""
        return min(fresh, self.daily_cap) if self.daily_cap else fresh

    def first_day(self, today: date) -> date:
        """The oldest day that counts."""
        return today - timedelta(days=self.window_days - 1)


POLICY: Final = Policy()
"""The rule where the settings say nothing else."""


class Given(NamedTuple):
    """What an admin decided of an account, and whether its owner wants to be on the leaderboard."""

    hand: Hand = "auto"
    until: datetime | None = None
    listed: bool = True

    def in_force(self, now: datetime) -> Hand:
        """What holds at `now`."""
        return "auto" if self.until is not None and self.until <= now else self.hand


class Member(NamedTuple):
    """An account, as far as its tier depends on it."""

    name: str
    role: str
    given: Given = Given()


class Day(NamedTuple):
    """What an account contributed on one day: accepted observations that counted, and endpoints made fresh."""

    day: date
    observations: int
    fresh: int


class Standing(msgspec.Struct, frozen=True):
    """Where an account stands. `until` is when that changes by itself: a grant ends, or what was earned grows old.

    `today`, `window` (the last `window_days` days, today among them) and `total` count endpoints that its observations
    made fresh, at most `daily_cap` (0: all) of each day; with `threshold` of them in the window an account is Pro.
    """

    account: str
    role: str
    tier: Tier
    why: Why
    until: datetime | None
    today: int
    window: int
    total: int
    observations: int
    threshold: int
    window_days: int
    daily_cap: int
    listed: bool = True


class Ranked(msgspec.Struct, frozen=True):
    """One line of the leaderboard: `fresh` endpoints by `observations` of one account."""

    rank: int
    account: str
    fresh: int
    observations: int


class Leaderboard(msgspec.Struct, frozen=True):
    """Who contributed most since `since` (null: ever), the most first; `next_cursor` is empty on the last page."""

    contributors: tuple[Ranked, ...]
    since: date | None
    next_cursor: str = ""


def decided(member: Member, policy: Policy, now: datetime) -> tuple[Tier, Why] | None:
    """Tier and reason where they do not depend on what was contributed, else None."""
    if member.role == "admin":
        return "pro", "admin"
    if policy.mode == "everyone":
        return "pro", "everyone"
    hand = member.given.in_force(now)
    if hand != "auto":
        return hand, "granted" if hand == "pro" else "withheld"
    if policy.mode == "own" and member.role not in OUTSIDE:
        return "pro", "own"
    return None


def standing(member: Member, days: Iterable[Day], policy: Policy, now: datetime) -> Standing:
    """Where the account stands that contributed this (any order, at most one entry a day)."""
    today = now.astimezone(UTC).date()
    known = list(days)
    counted = {day.day: policy.counted(day.fresh) for day in known}
    recent = {day: count for day, count in counted.items() if day >= policy.first_day(today)}
    window = sum(recent.values())
    earned = window >= policy.threshold
    tier, why = decided(member, policy, now) or (("pro", "earned") if earned else ("free", "not_earned"))
    until = (
        member.given.until if why in ("granted", "withheld") else lapses(recent, policy) if why == "earned" else None
    )
    return Standing(
        account=member.name,
        role=member.role,
        tier=tier,
        why=why,
        until=until,
        today=recent.get(today, 0),
        window=window,
        total=sum(counted.values()),
        observations=sum(day.observations for day in known),
        threshold=policy.threshold,
        window_days=policy.window_days,
        daily_cap=policy.daily_cap,
        listed=member.given.listed,
    )


def lapses(recent: Mapping[date, int], policy: Policy) -> datetime | None:
    """When the days of a window that suffices (what counts of each) are too old to suffice; None where they do not."""
    left = sum(recent.values())
    if left < policy.threshold:
        return None
    for day in sorted(recent):
        left -= recent[day]
        if left < policy.threshold:
            return datetime.combine(day + timedelta(days=policy.window_days), time(), UTC)
    return None
