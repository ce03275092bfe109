"""What a rule would have told: the same things as a watch over the same past, as far as that is kept."""

from __future__ import annotations

import itertools

import pytest

from spectra.errors import BadRequest
from spectra.flow.alerttrial import trial
from spectra.model.alerts import KINDS, QuietHours, Rule
from spectra.store import refusals
from spectra.store.database import Database
from tests.flow.alertworld import DAY, HOUR, NOON, Watchtower
from tests.store.scribe import host, seen
from tests.store.weak import Weak

pytestmark = pytest.mark.engine

A, B = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def tower(database: Database) -> Watchtower:
    """A watch over a store in which something happened for four days."""
    tower = Watchtower(database)
    days = (
        (host(A, NOON, seen(22, "ssh"), seen(80, "http", "nginx", "1.18.0")),),
        (host(A, NOON + DAY, seen(22, "ssh"), seen(80, "http", "nginx", "1.20.1"), seen(3389)),),
        (host(A, NOON + 2 * DAY, seen(22, "ssh"), seen(80, "http", "nginx", "1.20.1"), seen(3389, state="closed")),),
        (host(B, NOON + 3 * DAY, seen(3389, "rdp")),),
    )
    for records in days:
        tower.submit(*records)
        tower.wait(DAY)
    return tower


def test_what_changed_would_have_been_told(tower: Watchtower) -> None:
    """Also what is not so any more; as it was then, for a query too."""
    rule = Rule(name="rdp", on=("port.opened", "host.new"), query="port:3389", group="each")
    told = trial(tower.database, rule, 30, tower.now)
    assert sorted(one.title for one in told.alerts) == [
        f"{A}:3389 is open",
        f"{B}:3389 is open: rdp",
        f"New host {B} with 3389 open",
    ]
    assert (told.things, told.alerts_total, told.messages, told.complete) == (3, 3, 3, True)
    assert not tower.alerts()


def test_only_the_days_that_are_asked_for(tower: Watchtower) -> None:
    """What was before is known, and so no news."""
    rule = Rule(name="all", on=("port.opened", "host.new", "service.changed"), calm_s=3600)
    assert [one.key for one in trial(tower.database, rule, 2, tower.now).alerts] == [B]
    assert [one.key for one in trial(tower.database, rule, 4, tower.now).alerts] == [B, A, A]


def test_an_old_scan_counts_when_it_was_brought(tower: Watchtower) -> None:
    """As the watch would have told it."""
    tower.submit(host("192.0.2.9", NOON - 300 * DAY, seen(22)), at=tower.now)
    told = trial(tower.database, Rule(name="old", on=("host.new",), query="ip:192.0.2.9"), 1, tower.now)
    assert [one.title for one in told.alerts] == ["New host 192.0.2.9 with 22 open"]
    assert told.alerts[0].first >= told.from_


def test_thresholds_and_quiet_hours_count(tower: Watchtower) -> None:
    """Too few are not told; what falls into quiet hours is held."""
    few = Rule(name="few", on=("port.opened",), group="rule", threshold=3, window_s=3600)
    assert trial(tower.database, few, 30, tower.now).alerts_total == 0
    enough = Rule(name="enough", on=("port.opened",), group="rule", threshold=2, window_s=3600)
    assert trial(tower.database, enough, 30, tower.now).alerts_total == 1
    quiet = Rule(name="quiet", on=("host.new",), quiet=QuietHours(start="11:00", end="13:00"))
    assert [one.held for one in trial(tower.database, quiet, 30, tower.now).alerts] == [1, 1]


def test_it_ends_when_patience_does(tower: Watchtower) -> None:
    """And says how far back it went."""
    ticks = itertools.count(0, 100)
    told = trial(tower.database, Rule(name="all", on=("host.new",)), 30, tower.now, steady=lambda: float(next(ticks)))
    assert told.complete  # one piece is always looked at


def test_what_is_not_kept_of_the_past_is_said(tower: Watchtower) -> None:
    """Each kind can be tried; weaknesses and refusals are told as they are now."""
    weak = Weak(tower.database)
    weak.affected(weak.software("nginx", "1.20.1"), weak.vuln("CVE-2024-0001"), NOON + DAY)
    refusals.count(tower.database, "replay", "edge", "", tower.now - HOUR)
    told = trial(tower.database, Rule(name="all", on=tuple(KINDS), group="each"), 30, tower.now)
    titles = [one.title for one in told.alerts]
    assert f"CVE-2024-0001 (high) at {A}:80, nginx 1.20.1" in titles
    assert "Refused from edge: replay" in titles
    assert len(told.notes) == 5


def test_a_rule_that_cannot_be_tried_is_refused(tower: Watchtower) -> None:
    """By what is wrong with its query."""
    with pytest.raises(BadRequest):
        trial(tower.database, Rule(name="a", on=("host.new",), query="nosuchfield:1"), 7, tower.now)
