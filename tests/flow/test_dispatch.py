"""Tests of spectra.flow.dispatch, on a real database: who gets what, what is lost on the way, and what runs out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.errors import Unavailable
from spectra.fabric.workmessages import Assign, Doing, Ready, Returned
from spectra.flow.dispatch import Dispatcher
from spectra.flow.windows import parse_all
from spectra.model.work import Constraints
from spectra.store import coordinators, do_not_scan, jobs, leases, nodes, workstate
from spectra.store.database import Database
from tests.flow.desk import Clock
from tests.flow.yards import ANN, Yard
from tests.store.machines import T0
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


@pytest.fixture
def yard(database: Database, clock: Clock) -> Yard:
    """A dispatcher, and two machines `w1` and `w2`."""
    clock.now = T0
    made = Yard(database, clock)
    made.machine("w1")
    made.machine("w2")
    return made


def test_a_machine_that_is_ready_gets_an_order(yard: Yard) -> None:
    """With all that it has to know; and no more than it has room for."""
    job = yard.ask("10.1.0.0/23", ports="22,80", scan_id="s-1")
    coordinators.beat(yard.database, "hub", "https://hub", yard.clock())
    coordinators.beat(yard.database, "other", "https://other", yard.clock())
    (order,) = yard.ready("w1")
    assert (order.job, order.scan_id, order.ports, order.attempt) == (job.job, "s-1", "22,80", 1)
    assert (order.targets, order.lease_s, order.not_after) == (("10.1.0.0/24",), 60.0, None)
    assert (order.permission.by, order.permission.reason) == (ANN, "ticket 4711")
    assert order.law == workstate.law_version(yard.database, yard.clock())
    assert jobs.get(yard.database, job.job).counts.leased == 1
    assert yard.ready("w1", 0, scanning=[order.lease]) == []


def test_results_may_be_brought_to_every_coordinator_that_lives(yard: Yard) -> None:
    """Here first; one that was not heard of for half a minute is left out."""
    coordinators.beat(yard.database, "gone", "https://gone", yard.clock() - timedelta(minutes=1))
    coordinators.beat(yard.database, "other", "https://other", yard.clock())
    yard.ask("10.1.0.0/24")
    yard.say(Ready(node="w1", incarnation=1, slots=1, free=1))
    yard.dispatcher.look()
    ((_, message),) = yard.told()
    assert isinstance(message, Assign)
    assert message.apis == ("https://hub", "https://other")


def test_turns_are_fair(yard: Yard) -> None:
    """One target each before anybody gets a second, and who was served longest ago is the first."""
    yard.ask("10.1.0.0/22", preset="services")
    for name in ("w1", "w2"):
        yard.say(Ready(node=name, incarnation=1, slots=4, free=2))
    yard.dispatcher.look()
    told = yard.told()
    assert [node for node, _ in told] == ["w1", "w2", "w1", "w2"]
    yard.ask("10.2.0.0/24")
    for name in ("w2", "w1"):
        held = tuple(one.lease for one in leases.held(yard.database, name))
        yard.say(Ready(node=name, incarnation=1, slots=4, free=1, scanning=held))
    yard.dispatcher.look()
    assert [node for node, _ in yard.told()] == ["w1"]


def test_new_work_goes_to_who_had_room(yard: Yard) -> None:
    """At once: a machine that asked in vain is remembered for a few seconds, and no longer."""
    assert yard.ready("w1") == []
    yard.at += 3
    yard.ask("10.1.0.0/24")
    assert list(yard.look()) == ["w1"]
    yard.wait(10)
    yard.ask("10.2.0.0/24")
    assert yard.look() == {}


def test_an_order_that_was_lost_is_said_again(yard: Yard) -> None:
    """After two seconds in which it would have arrived; never while it is listed; and it takes room meanwhile."""
    yard.ask("10.1.0.0/23")
    (order,) = yard.ready("w1")
    assert yard.ready("w1") == []
    yard.at += 3
    assert [one.lease for one in yard.ready("w1")] == [order.lease]
    yard.at += 1
    assert yard.ready("w1") == []
    yard.at += 3
    assert yard.ready("w1", 0, scanning=[order.lease]) == []
    assert yard.ready("w1", 0, spooled=(order.lease,)) == []


def test_leases_of_another_coordinator_are_said_again_too(yard: Yard) -> None:
    """One that died after it gave a target away, and before it said so."""
    yard.ask("10.1.0.0/24")
    (order,) = yard.ready("w1")
    heir = Yard(yard.database, yard.clock, name="heir")
    assert heir.ready("w1") == []
    heir.clock.advance(timedelta(seconds=3))
    assert [one.lease for one in heir.ready("w1")] == [order.lease]


def test_a_lease_lives_as_long_as_it_is_told_of(yard: Yard) -> None:
    """By `Ready`, or by how far it is; then it runs out, goes to another, and the first is told to stop."""
    yard.ask("10.1.0.0/24")
    (order,) = yard.ready("w1")
    for _ in range(4):
        yard.wait(30)
        yard.say(Ready(node="w1", incarnation=1, slots=1, free=0, scanning=(order.lease,)))
    for _ in range(4):
        yard.wait(30)
        yard.say(Doing(node="w1", lease=order.lease, fraction=0.5, found=3, note="half"))
    yard.dispatcher.look()
    (target,), _ = jobs.targets(yard.database, order.job)
    assert (target.node, target.fraction, target.found) == ("w1", 0.5, 3)
    yard.told()
    yard.ready("w2")
    yard.wait(62)
    assert ("w1", order.lease) in yard.cancels()
    (again,) = yard.ready("w2")
    assert (again.target, again.attempt) == (order.target, 2)
    yard.say(Ready(node="w1", incarnation=1, slots=1, free=0, scanning=(order.lease,)))
    yard.dispatcher.look()
    assert yard.cancels() == [("w1", order.lease)]


def test_a_machine_that_hangs_loses_what_it_holds(yard: Yard) -> None:
    """However often it says that it is at it: longer than the deadline nobody is; a result that waits is no scan."""
    yard.ask("10.1.0.0/23")
    (slow,), (done,) = yard.ready("w1"), yard.ready("w2")
    for wait_s in (30, 40, 0):
        yard.wait(wait_s, step=5)
        yard.say(Doing(node="w1", lease=slow.lease, fraction=0.9))
        yard.say(Ready(node="w1", incarnation=1, slots=1, free=0, scanning=(slow.lease,)))
        yard.say(Ready(node="w2", incarnation=1, slots=1, free=0, spooled=(done.lease,)))
        if not wait_s:
            yard.clock.advance(timedelta(seconds=yard.rules.deadline_s))
        yard.dispatcher.look()
    assert ("w1", slow.lease) in yard.cancels()
    yard.wait(2)
    assert [held.lease for held in leases.held(yard.database)] == [done.lease]


def test_nothing_runs_out_while_nobody_could_be_heard(yard: Yard) -> None:
    """The fabric was away for an hour: machines have the time of a lease to tell of what they hold."""
    yard.ask("10.1.0.0/24")
    (order,) = yard.ready("w1")
    yard.wire.connected = False
    yard.wait(3600, step=5)
    assert yard.dispatcher.holds.words() == ("fabric", "settling")
    yard.wire.connected = True
    yard.wait(55)
    assert yard.ready("w1", 0, scanning=[order.lease]) == []
    yard.wait(30)
    assert yard.dispatcher.holds.words() == ()
    assert [held.lease for held in leases.held(yard.database)] == [order.lease]


def test_nothing_is_handed_out_without_the_fabric(yard: Yard) -> None:
    """An order that cannot be said is not given; and what machines said while it was away is what counts after."""
    yard.wire.connected = False
    yard.ask("10.1.0.0/24")
    assert yard.ready("w1") == []
    assert leases.held(yard.database) == []
    yard.wire.connected = True
    assert len(yard.ready("w1")) == 1


def test_a_database_that_is_away_holds_all(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, nothing runs out, and it is over with the first answer."""

    def away(*_: object) -> None:
        raise Unavailable("The database is away.")

    yard.ask("10.1.0.0/24")
    (order,) = yard.ready("w1")
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "windows", away)
        for _ in range(70):
            with pytest.raises(Unavailable):
                yard.wait(1)
        assert yard.dispatcher.holds.words() == ("database", "settling")
    yard.wait(50)
    assert yard.dispatcher.holds.words() == ("settling",)
    assert [held.lease for held in leases.held(yard.database)] == [order.lease]


def test_what_is_given_back_goes_to_another(yard: Yard) -> None:
    """At once where the machine cannot do it; and that machine does not get it again."""
    yard.ask("10.1.0.0/24")
    (order,) = yard.ready("w1")
    yard.ready("w2")
    yard.say(Returned(node="w1", lease=order.lease, reason="no_tool", message="no nmap here"))
    assert [one.target for one in yard.look()["w2"]] == [order.target]
    assert jobs.target(yard.database, order.target).attempts <= 1


def test_who_may_not_work_is_refused_and_counted(yard: Yard) -> None:
    """Strangers, those held back or thrown out, and who speaks in the name of another or without sense."""
    yard.ask("10.1.0.0/24")
    yard.machine("w3")
    nodes.revoke(yard.database, "w3", "stolen", yard.act())
    yard.quarantine("w2")
    for name in ("w2", "w3", "ghost"):
        assert yard.ready(name) == []
    yard.say(Ready(node="w1", incarnation=1, slots=1, free=1), "spectra.work.w2")
    yard.say(Ready(node="w2", incarnation=1, slots=1, free=1), "spectra.work.w1")
    yard.wire.bring("spectra.work.w1", b"{]")
    assert yard.look() == {}
    assert yard.refused.counts == {
        ("quarantined", "w2"): 2,
        ("revoked", "w3"): 1,
        ("unknown_node", "ghost"): 1,
        ("impostor", "w1"): 1,
        ("malformed_message", "w1"): 1,
    }


def test_nobody_keeps_or_gives_back_what_another_holds(yard: Yard) -> None:
    """Whatever it lists: it is told that the lease is none of its own."""
    yard.ask("10.1.0.0/24")
    (order,) = yard.ready("w1")
    yard.say(Returned(node="w2", lease=order.lease, reason="no_tool"))
    yard.say(Doing(node="w2", lease=order.lease, fraction=1.0))
    yard.say(Ready(node="w2", incarnation=1, slots=1, free=0, scanning=(order.lease,)))
    yard.dispatcher.look()
    assert yard.cancels() == [("w2", order.lease)]
    (held,) = leases.held(yard.database)
    assert (held.node, held.lease) == ("w1", order.lease)
    assert jobs.target(yard.database, order.target).fraction == 0.0


def test_a_flood_is_bounded_and_counted(yard: Yard) -> None:
    """One machine that talks without end takes nothing from the others."""
    yard.ask("10.1.0.0/23")
    for _ in range(100):
        yard.say(Ready(node="w1", incarnation=1, slots=1, free=1))
    yard.say(Ready(node="w2", incarnation=1, slots=1, free=1))
    assert sorted(yard.look()) == ["w1", "w2"]
    assert yard.refused.counts["flood", "w1"] == 68


def test_the_law_is_asked_again_when_a_target_is_handed_out(yard: Yard) -> None:
    """What came onto the do-not-scan list since then is cut out; a target of which nothing is left is cancelled."""
    job = yard.ask("10.1.0.0/23")
    do_not_scan.add(yard.database, network="10.1.0.0/25", reason="asked", by=ANN, now=yard.clock())
    do_not_scan.add(yard.database, network="10.1.1.0/24", reason="asked", by=ANN, now=yard.clock())
    yard.at += 2
    (order,) = yard.ready("w1", 2)
    assert order.targets == ("10.1.0.128/25",)
    (first, second), _ = jobs.targets(yard.database, job.job)
    assert (first.state, first.targets) == ("leased", ("10.1.0.128/25",))
    assert second.state == "cancelled"
    assert "do-not-scan" in second.reason
    assert yard.law.for_machines().rules == ("10.1.0.0/25", "10.1.1.0/24")


def test_consent_that_has_ended_is_none(yard: Yard) -> None:
    """A target that waited longer than who agreed said is not handed out; the order tells machines the end, too."""
    until = yard.clock() + timedelta(hours=1)
    job = yard.ask("10.1.0.0/23", consent_until=until)
    (order,) = yard.ready("w1")
    assert order.not_after == until
    yard.clock.advance(timedelta(hours=2))
    assert yard.ready("w2") == []
    assert [one.state for one in jobs.targets(yard.database, job.job)[0]] == ["leased", "cancelled"]


def test_time_windows_open_and_close(database: Database, clock: Clock) -> None:
    """A job's and the coordinator's; who had room gets the targets when the window opens."""
    clock.now = T0  # a Sunday, at noon
    yard = Yard(database, clock, windows=parse_all(["Sun"]))
    yard.machine("w1")
    job = yard.ask("10.1.0.0/23", windows=("13:00-14:00",))
    assert yard.ready("w1") == []
    assert yard.work.job(job.job).waits_for == "its time window opens at 2026-03-01 13:00:00 UTC"
    clock.advance(timedelta(minutes=59, seconds=58))
    yard.ready("w1")
    yard.wait(4)
    (order,) = (message.order for _, message in yard.told() if isinstance(message, Assign))
    assert order.not_after == T0 + timedelta(hours=2)
    clock.advance(timedelta(hours=12))
    yard.at += 2
    yard.ask("10.2.0.0/24")
    assert yard.ready("w1", 2) == []
    assert yard.dispatcher.holds.window


def test_a_pause_and_a_cancelled_job(yard: Yard) -> None:
    """Nothing more is handed out, what is scanned goes on; a cancelled job is stopped where it is scanned."""
    job = yard.ask("10.1.0.0/22")
    (order,) = yard.ready("w1")
    yard.work.pause_all("storm", yard.act())
    assert yard.ready("w2") == []
    assert yard.work.status().paused
    yard.ready("w1", 0, scanning=[order.lease])
    assert yard.cancels() == []
    yard.work.resume_all(yard.act())
    assert list(yard.look()) == ["w2"]
    yard.work.cancel(job.job, "a mistake", yard.act())
    assert sorted(node for node, _ in yard.cancels()) == ["w1", "w2"]
    yard.say(Ready(node="w1", incarnation=1, slots=1, free=0, scanning=(order.lease,)))
    yard.dispatcher.look()
    assert yard.cancels() == [("w1", order.lease)]


def test_a_drained_machine_gets_nothing_new(yard: Yard) -> None:
    """What it scans goes on."""
    yard.ask("10.1.0.0/23")
    (order,) = yard.ready("w1")
    yard.work.drain("w1", True, yard.act())
    assert yard.ready("w1", 1, scanning=[order.lease]) == []
    assert yard.cancels() == []
    yard.work.drain("w1", False, yard.act())
    assert list(yard.look()) == ["w1"]


def test_only_who_can_and_may_gets_it(yard: Yard) -> None:
    """Pins, regions, relays, raw sockets: what machines told of themselves."""
    yard.machine("w4", region="eu", relay=True, raw=True)
    for constraints in (Constraints(node="w4"), Constraints(region="eu"), Constraints(relay=True)):
        yard.ask("10.1.0.0/24", constraints=constraints)
        assert yard.ready("w1") == []
        (order,) = yard.ready("w4")
        yard.work.cancel(order.job, "", yard.act())


def test_two_coordinators_share_what_waits(yard: Yard) -> None:
    """Neither gives away what the other did."""
    yard.ask("10.1.0.0/23")
    other = Yard(yard.database, yard.clock, name="other")
    (first,), (second,) = yard.ready("w1"), other.ready("w2")
    assert first.target != second.target


def test_two_coordinators_do_not_give_a_machine_more_than_it_has_slots(yard: Yard) -> None:
    """Both remember that it had room; a result that waits to be sent takes no slot."""
    other = Yard(yard.database, yard.clock, name="other")
    for each in (yard, other):
        each.say(Ready(node="w1", incarnation=1, slots=2, free=2))
        each.dispatcher.look()
    yard.ask("10.1.0.0/22")
    first, second = yard.look()["w1"]
    other.dispatcher.more()
    assert other.look() == {}
    other.say(Ready(node="w1", incarnation=1, slots=2, free=1, scanning=(first.lease,), spooled=(second.lease,)))
    assert len(other.look()["w1"]) == 1


def test_coordinators_tell_each_other_that_something_waits(yard: Yard) -> None:
    """A machine that asked one in vain gets at once what somebody asked another for."""
    other = Yard(yard.database, yard.clock, name="other")
    assert other.ready("w1") == []
    yard.ask("10.1.0.0/24")
    assert yard.look() == {}
    said = [data for subject, data in yard.wire.published if subject == "spectra.waiting"]
    assert said == [b"hub"]
    other.wire.bring("spectra.waiting", b"hub")
    assert list(other.look()) == ["w1"]
    assert [subject for subject, _ in other.wire.published] == ["spectra.assign.w1"]


def test_the_thread_looks_when_something_comes(yard: Yard) -> None:
    """Without being asked to; what a look cannot do ends nothing."""
    dispatcher: Dispatcher = yard.dispatcher
    dispatcher.start()
    try:
        yard.ask("10.1.0.0/24")
        yard.wire.bring("spectra.work.w1", b"{]")
        yard.say(Ready(node="w1", incarnation=1, slots=1, free=1))
        eventually(lambda: [node for node, _ in yard.told()] == ["w1"] or leases.held(yard.database))
    finally:
        dispatcher.stop()
    assert [held.node for held in leases.held(yard.database)] == ["w1"]
