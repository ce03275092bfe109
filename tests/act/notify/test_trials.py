"""What a rule would have made of things: alerts in order of time, gathered, counted and held as the watch does."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.act.notify.trials import trial
from spectra.model.alerts import Occurrence, QuietHours, Rule
from tests.act.notify.alertsamples import lasting, opened

PORTS = Rule(name="ports", on=("port.opened",), group="host", gather_s=300, calm_s=3600)


def test_alerts_begin_and_end() -> None:
    """More of one within its time is gathered; what comes after is an alert of its own, the newest first."""
    found = [opened(port=1), opened(port=2, after_s=10), opened(port=3, after_s=20), opened(port=1, after_s=5000)]
    told = trial(PORTS, found)
    assert [(one.count, one.messages, one.title) for one in told] == [
        (1, 1, "192.0.2.1:1 is open"),
        (3, 2, "3 ports opened at 192.0.2.1"),
    ]


def test_what_lasts_is_told_once() -> None:
    """However often it is found."""
    rule = Rule(name="bad", on=("finding.new",), group="each")
    told = trial(rule, [lasting(after_s=day * 86_400) for day in range(10)])
    assert [(one.count, one.messages) for one in told] == [(1, 1)]


def test_thresholds_hold() -> None:
    """Too few in the time are no alert, and are forgotten."""
    rule = Rule(name="many", on=("port.opened",), group="rule", threshold=3, window_s=60)
    assert trial(rule, [opened(port=n, after_s=40 * n) for n in range(10)]) == []
    assert [one.count for one in trial(rule, [opened(port=n, after_s=20 * n) for n in range(10)])] == [10]


def test_quiet_hours_hold() -> None:
    """Messages of that time are counted as such."""
    rule = Rule(name="ports", on=("port.opened",), quiet=QuietHours(start="11:00", end="13:00"))
    assert [one.held for one in trial(rule, [opened()])] == [1]


@settings(max_examples=30)
@given(
    st.lists(st.builds(opened, st.sampled_from(["192.0.2.1", "192.0.2.2"]), st.integers(1, 3), st.integers(0, 20_000)))
)
def test_every_time_is_in_one_alert(found: list[Occurrence]) -> None:
    """Where one is enough, and no alert without a message."""
    told = trial(PORTS, found)
    assert sum(one.count for one in told) == len(found)
    assert all(1 <= one.messages <= one.count and one.first <= one.last for one in told)


def test_what_lasts_and_what_happens_count_together() -> None:
    """What lasts once, however often it is found; what happens each time in the window."""
    rule = Rule(name="r", on=("port.opened", "finding.new"), group="rule", threshold=4, window_s=60)
    early = [lasting("CVE-2024-1"), opened(port=1), opened(port=2, after_s=1)]
    assert trial(rule, [*early, lasting("CVE-2024-1", after_s=30), opened(port=3, after_s=100)]) == []
    (told,) = trial(rule, [*early, lasting("CVE-2024-2", after_s=30)])
    assert (told.count, told.messages, told.title) == (4, 1, "4 changes")


def test_what_lasts_counts_after_the_window_of_its_finding() -> None:
    """It is added to what happens much later, as the watch adds it."""
    rule = Rule(name="r", on=("port.opened", "finding.new"), group="rule", threshold=3, window_s=60)
    (told,) = trial(rule, [lasting("CVE-2024-1"), opened(port=1, after_s=500), opened(port=2, after_s=510)])
    assert (told.count, told.messages) == (3, 1)


def test_many_things_of_one_alert() -> None:
    """As many as a trial takes: each is looked at once, not once for each of the others."""
    found = [opened(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", after_s=n % 50) for n in range(20_000)]
    (told,) = trial(Rule(name="r", on=("port.opened",), group="rule", threshold=20_000), found)
    assert (told.count, told.messages) == (20_000, 1)
