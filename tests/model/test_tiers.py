"""The rule by which accounts are Free or Pro, held against a plain second way of saying it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity.roles import ROLES
from spectra.model import tiers
from spectra.model.tiers import Day, Given, Hand, Member, Mode, Policy, decided, lapses, standing

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
TODAY = NOW.date()
CONTRIBUTOR = Member("alice", "contributor")
POLICY = Policy("own", threshold=10, window_days=3, daily_cap=6)

days = st.dictionaries(st.dates(date(2026, 3, 1), TODAY), st.integers(1, 20)).map(
    lambda found: [Day(day, 1, fresh) for day, fresh in found.items()]
)
policies = st.builds(
    Policy, st.sampled_from(get_args(Mode)), st.integers(1, 40), st.integers(1, 20), st.sampled_from((0, 1, 6, 50))
)


def midnight(day: date) -> datetime:
    """The beginning of a day."""
    return datetime.combine(day, time(), UTC)


def test_contributions_make_pro() -> None:
    """What counts of each day of the window, together."""
    found = standing(CONTRIBUTOR, [Day(TODAY, 2, 9), Day(TODAY - timedelta(days=2), 1, 4)], POLICY, NOW)
    assert (found.tier, found.why, found.today, found.window, found.total) == ("pro", "earned", 6, 10, 10)
    assert found.observations == 3
    assert found.until == midnight(TODAY + timedelta(days=1))
    short = standing(CONTRIBUTOR, [Day(TODAY, 1, 9), Day(TODAY - timedelta(days=3), 1, 4)], POLICY, NOW)
    assert (short.tier, short.why, short.window, short.total, short.until) == ("free", "not_earned", 6, 10, None)


@pytest.mark.parametrize("role", [*ROLES, "a-role-of-ones-own"])
def test_ones_own_people(role: str) -> None:
    """Whoever is let in for more than submitting, where the mode says so; admins whatever it says."""
    member = Member("alice", role)
    outside = role in ("contributor", "module")
    assert standing(member, [], POLICY, NOW).tier == ("free" if outside else "pro")
    earned = POLICY._replace(mode="earned")
    assert standing(member, [], earned, NOW).tier == ("pro" if role == "admin" else "free")
    assert standing(member, [], POLICY._replace(mode="everyone"), NOW).tier == "pro"


def test_an_admins_hand() -> None:
    """Outweighs role and contributions while it holds; an admin is Pro all the same."""
    rich = [Day(TODAY, 1, 1000)]
    earning = POLICY._replace(daily_cap=0)
    until = NOW + timedelta(seconds=1)
    free, pro = Given("free", until), Given("pro", until)
    assert standing(CONTRIBUTOR._replace(given=free), rich, earning, NOW).why == "withheld"
    assert standing(CONTRIBUTOR._replace(given=free), rich, earning, until).why == "earned"
    granted = standing(CONTRIBUTOR._replace(given=pro), [], POLICY, NOW)
    assert (granted.tier, granted.why, granted.until) == ("pro", "granted", until)
    assert standing(CONTRIBUTOR._replace(given=pro), [], POLICY, until).why == "not_earned"
    assert standing(Member("bob", "user", Given("free")), [], POLICY, NOW).until is None
    assert standing(Member("root", "admin", Given("free")), [], POLICY, NOW).why == "admin"


@given(days, policies)
def test_counting_is_what_a_plain_sum_says(known: list[Day], policy: Policy) -> None:
    """Whatever the days, the window and the bound."""
    found = standing(CONTRIBUTOR, known, policy, NOW)
    capped = {d.day: min(d.fresh, policy.daily_cap or d.fresh) for d in known}
    ages = {day: (TODAY - day).days for day in capped}
    assert found.today == capped.get(TODAY, 0)
    assert found.window == sum(n for day, n in capped.items() if ages[day] < policy.window_days)
    assert found.total == sum(capped.values())
    if policy.mode != "everyone":
        assert (found.tier == "pro") is (found.window >= policy.threshold)


@given(days, policies)
def test_it_lapses_exactly_then(known: list[Day], policy: Policy) -> None:
    """A moment before it still holds, at that moment it does not any more."""
    policy = policy._replace(mode="earned")
    found = standing(CONTRIBUTOR, known, policy, NOW)
    if found.tier == "free":
        assert found.until is None
        assert lapses({d.day: d.fresh for d in known[:0]}, policy) is None
        return
    assert found.until
    assert standing(CONTRIBUTOR, known, policy, found.until - timedelta(microseconds=1)).tier == "pro"
    assert standing(CONTRIBUTOR, known, policy, found.until).tier == "free"


@given(st.sampled_from([*ROLES, "own"]), st.sampled_from(get_args(Hand)), policies)
def test_what_is_decided_does_not_depend_on_contributions(role: str, hand: Hand, policy: Policy) -> None:
    """The short cut that reads no ledger says what the whole says."""
    member = Member("alice", role, Given(hand))
    if (known := decided(member, policy, NOW)) is not None:
        for contributed in ([], [Day(TODAY, 1, 1000)]):
            found = standing(member, contributed, policy, NOW)
            assert (found.tier, found.why) == known


def test_the_default_rule() -> None:
    """One's own people are Pro; strangers need more than one day of contributions."""
    assert tiers.POLICY.mode == "own"
    assert tiers.POLICY.daily_cap < tiers.POLICY.threshold
