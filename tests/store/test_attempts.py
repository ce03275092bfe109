"""How attempts end: a state machine of targets against a model that a person can read, and the rules it goes by."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from spectra.store import attempts, jobs, leases, results
from spectra.store import workers as rooms
from spectra.store.attempts import Attempt
from spectra.store.database import Database, one
from spectra.store.leases import Leased
from tests.store.toil import ROOT, SECOND, T0, TERMS, ask, hosts, job, settle, submit, workers

pytestmark = pytest.mark.engine

NODES = ("attic", "barn", "cellar")
LIMITS = TERMS._replace(attempts=3, per_node=2, per_network=1)
MAY_RETRY = ("review", "cancelled")


@dataclass
class Target:
    """A target as the model has it. `open` is its lease; `last` the newest there was."""

    network: str
    state: str = "waiting"
    attempts: int = 0
    due: datetime = T0
    node: str = ""
    open: str = ""
    last: str = ""
    outcome: str = ""
    excluded: set[str] = field(default_factory=set)


class Work(RuleBasedStateMachine):
    """Two jobs of three targets each, two of which share a network; three machines and a clock."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.targets: dict[int, Target] = {}
        self.leases: dict[str, tuple[int, Leased, datetime]] = {}  # target, lease, when it was heard of
        self.ended: dict[str, str] = {}
        self.sent: set[str] = set()
        self.jobs: dict[str, str] = {}
        self.of: dict[int, str] = {}

    @initialize()
    def begin(self) -> None:
        """Everything is new."""
        with self.database.connection() as connection:
            connection.execute("TRUNCATE job, node, provenance RESTART IDENTITY CASCADE")
        workers(self.database, *NODES)
        for part in range(2):
            made = job(self.database, hosts(4, per_network=2)[part : part + 3])
            self.jobs[made.job] = "running"
            for found in jobs.targets(self.database, made.job)[0]:
                self.targets[found.target] = Target(found.network)
                self.of[found.target] = made.job

    # What can happen --------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 5, 30, 61, 700]))
    def time_passes(self, seconds: int) -> None:
        """And nobody does anything."""
        self.now += seconds * SECOND

    @rule(node=st.sampled_from(NODES))
    def ask(self, node: str) -> None:
        """A machine is given something that it may have, if and only if there is such."""
        given = ask(self.database, node, at=self.now, terms=LIMITS)
        may = {number for number, target in self.targets.items() if self._may(node, number, target)}
        assert bool(given) == bool(may), (given, may)
        for lease in given:
            assert lease.target in may
            target = self.targets[lease.target]
            target.state, target.node, target.open = "leased", node, lease.lease
            target.last = lease.lease
            self.leases[lease.lease] = lease.target, lease, self.now

    def _may(self, node: str, number: int, target: Target) -> bool:
        mine = [lease for _, lease, _ in self.leases.values() if lease.node == node and lease.lease not in self.ended]
        busy = [t for t in self.targets.values() if t.state == "leased" and t.network == target.network]
        own = timedelta(seconds=LIMITS.lease_s) if target.node == node else timedelta()
        # One that never failed is due at any time, also for the machine that gave it back for others' sake.
        due = target.due == T0 or target.due + own <= self.now
        return (
            target.state == "waiting"
            and self.jobs[self.of[number]] == "running"
            and node not in target.excluded
            and due
            and len(mine) < LIMITS.per_node
            and len(busy) < LIMITS.per_network
        )

    def _some(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(list(self.leases)))

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), wrong=st.booleans())
    def renew(self, data: st.DataObject, wrong: bool) -> None:
        """What is open and the machine's own lives on; all else is lost to it."""
        lease = self._some(data)
        number, given, _ = self.leases[lease]
        node = next(name for name in NODES if name != given.node) if wrong else given.node
        lost = leases.renew(self.database, node, [lease], self.now)
        assert lost == ([lease] if wrong or lease in self.ended else [])
        if not lost:
            self.leases[lease] = number, given, self.now

    @rule()
    def expire(self) -> None:
        """Exactly those that were silent for too long."""
        silent = {
            lease
            for lease, (_, _, heard) in self.leases.items()
            if lease not in self.ended and heard < self.now - timedelta(seconds=LIMITS.lease_s)
        }
        gone = leases.expire(self.database, LIMITS, self.now)
        assert {held.lease for held in gone} == silent
        for lease in silent:
            self._end(lease, "expired")

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), reason=st.sampled_from(["no_tool", "law_unknown", "scan_failed"]))
    def give_back(self, data: st.DataObject, reason: str) -> None:
        """Only what is open; some reasons are no attempt."""
        lease = self._some(data)
        _, given, _ = self.leases[lease]
        how: dict[str, Any] = {"reason": reason, "message": "", "terms": LIMITS, "now": self.now}
        state = leases.give_back(self.database, given.node, lease, **how)
        if lease in self.ended:
            assert state is None
        else:
            self._end(lease, "refused", reason)
            assert state == self.targets[given.target].state

    @precondition(lambda self: len(self.leases) > len(self.sent))
    @rule(data=st.data(), outcome=st.sampled_from(["done", "partial", "failed"]))
    def submit(self, data: st.DataObject, outcome: Any) -> None:
        """Accepted while it is open, or while nobody was given the target since it expired; late otherwise."""
        lease = data.draw(st.sampled_from([one for one in self.leases if one not in self.sent]))
        _, given, _ = self.leases[lease]
        target = self.targets[given.target]
        waits = target.state == "waiting" and target.last == lease and self.ended.get(lease) == "expired"
        found = submit(self.database, given, outcome, at=self.now, terms=LIMITS)
        self.sent.add(lease)
        if lease not in self.ended:
            assert found.verdict == "accepted"
            self._end(lease, outcome)
        elif waits and outcome != "failed":
            assert found.verdict == "accepted"
            self.ended[lease], target.state, target.outcome = outcome, "submitted", outcome
        else:
            assert found.verdict == "late"
            if self.ended[lease] == "expired":
                self.ended[lease] = "late"

    @precondition(lambda self: any(target.state == "submitted" for target in self.targets.values()))
    @rule()
    def settle(self) -> None:
        """Results are read: whole ones end their target, partial ones have it tried again."""
        for number, lease in results.submitted(self.database, self.now + SECOND):
            target = self.targets[number]
            assert target.last == lease
            state = settle(self.database, self.leases[lease][1], at=self.now, terms=LIMITS)
            if target.outcome == "done":
                target.state = "done"
            else:
                self._wait(number, min(5 * 2 ** (target.attempts - 1), 600))
            assert state == target.state

    @rule(data=st.data())
    def steer(self, data: st.DataObject) -> None:
        """A person cancels, pauses, resumes or tries again."""
        name = data.draw(st.sampled_from(list(self.jobs)))
        mine = [self.targets[number] for number, of in self.of.items() if of == name]
        open_ones = [target for target in mine if target.state in ("waiting", "leased", "submitted")]
        what = data.draw(st.sampled_from(["cancel", "retry", "retry", "pause", "resume"]))
        if what == "cancel":
            held = jobs.cancel(self.database, name, ROOT._replace(now=self.now), "no")
            if not open_ones or self.jobs[name] == "cancelled":
                assert held == []
                return
            assert {one_held.lease for one_held in held} == {target.open for target in mine if target.open}
            self.jobs[name] = "cancelled"
            for target in open_ones:
                if target.state != "submitted":
                    if target.open:
                        self.ended[target.open] = "cancelled"
                    target.state, target.open = "cancelled", ""
        elif what == "retry":
            again = [target for target in mine if target.state in MAY_RETRY]
            assert jobs.retry(self.database, name, ROOT._replace(now=self.now)) == len(again)
            for target in again:
                target.state, target.attempts, target.due, target.excluded = "waiting", 0, T0, set()
            if again and (not open_ones or self.jobs[name] == "cancelled"):
                self.jobs[name] = "running"
        elif open_ones and self.jobs[name] != "cancelled":
            steer = jobs.pause if what == "pause" else jobs.resume
            steer(self.database, name, ROOT)
            self.jobs[name] = "paused" if what == "pause" else "running"

    def _end(self, lease: str, end: str, reason: str = "") -> None:
        number, given, _ = self.leases[lease]
        target = self.targets[number]
        self.ended[lease], target.open = end, ""
        if end in ("done", "partial"):
            target.state, target.outcome = "submitted", end
            target.attempts += 1
        elif reason in ("no_tool", "law_unknown"):
            if reason == "no_tool":
                target.excluded.add(given.node)
            self._wait(number, 0 if reason == "no_tool" else 5)
        else:
            target.attempts += 1
            failures = target.attempts - (end == "expired")
            self._wait(number, 5 * 2 ** (failures - 1) if failures else 0)

    def _wait(self, number: int, seconds: float) -> None:
        target = self.targets[number]
        target.due = self.now + timedelta(seconds=seconds)
        if self.jobs[self.of[number]] == "cancelled":
            target.state = "cancelled"
        else:
            target.state = "review" if target.attempts >= LIMITS.attempts else "waiting"

    # What always holds ------------------------------------------------------------------------------------------------

    @invariant()
    def as_the_model_says(self) -> None:
        """Every target, and every lease that is open."""
        with self.database.connection() as connection:
            rows = connection.execute("SELECT num, state, attempts FROM target ORDER BY num").fetchall()
            held = connection.execute("SELECT target, id FROM lease WHERE ended IS NULL ORDER BY target").fetchall()
            twice = connection.execute(
                "SELECT l.target FROM result r JOIN lease l ON l.id = r.lease JOIN target t ON t.num = l.target"
                " WHERE r.verdict = 'accepted' AND r.outcome = 'done' GROUP BY l.target HAVING count(*) > 1"
            ).fetchall()
        assert rows == [(number, t.state, t.attempts) for number, t in sorted(self.targets.items())]
        assert [(number, lease.hex) for number, lease in held] == [
            (number, target.open) for number, target in sorted(self.targets.items()) if target.open
        ]
        assert twice == []

    def teardown(self) -> None:
        """Jobs that have nothing open have ended, and no other."""
        jobs.finish(self.database, self.now)
        for name, decision in self.jobs.items():
            mine = [self.targets[number].state for number, of in self.of.items() if of == name]
            over = not {"waiting", "leased", "submitted"} & set(mine)
            record = jobs.get(self.database, name)
            assert record.state == ("cancelled" if decision == "cancelled" else "done" if over else decision)
            assert (record.ended is not None) == over
            assert record.total == len(mine)
            assert record.counts.done == mine.count("done")


def test_every_target_ends_exactly_once(database: Database) -> None:
    """Whatever machines, time and people do, in whatever order."""

    class OnDatabase(Work):
        """On this test's database."""

    OnDatabase.database = database
    run_state_machine_as_test(OnDatabase, settings=settings(max_examples=12, stateful_step_count=30, deadline=None))


def lease_of(database: Database) -> Leased:
    """One lease of one target."""
    workers(database, "attic")
    job(database, 1)
    return ask(database, "attic")[0]


def test_the_wait_grows_to_ten_minutes(database: Database) -> None:
    """Doubling from five seconds; the first silence costs its target nothing."""
    lease = lease_of(database)
    terms = TERMS._replace(attempts=20)
    waits: list[float] = []
    now = T0
    for _ in range(9):
        with database.transaction() as connection:
            assert attempts.end(connection, lease.lease, Attempt("expired"), terms, now) == "waiting"
        due = jobs.target(database, lease.target).not_before
        assert due
        waits.append((due - now).total_seconds())
        now += timedelta(hours=1)
        (lease,) = ask(database, "attic", at=now, terms=terms)
    assert waits == [0, 5, 10, 20, 40, 80, 160, 320, 600]


def test_a_machine_is_blamed_for_its_own_failures(database: Database) -> None:
    """What it gave back for reasons that are no attempt is none of them."""
    workers(database, "attic")
    rooms.asked(database, [rooms.Asked("attic", 4, 4)], T0)
    job(database, 3)
    ends = (Attempt("refused", "law_unknown"), Attempt("failed", "scan_failed"), Attempt("done"))
    with database.transaction() as connection:
        for lease, end in zip(ask(database, "attic", count=3), ends, strict=True):
            attempts.end(connection, lease.lease, end, TERMS, T0)
    (worker,) = rooms.every(database)
    assert (worker.done, worker.failed, worker.running) == (1, 1, 0)


def test_giving_back_has_an_end(database: Database) -> None:
    """A target that is only ever given back goes to a person, too."""
    lease = lease_of(database)
    with database.connection() as connection:
        connection.execute("UPDATE target SET returns = %s", [attempts.MAX_RETURNS - 1])
    busy: dict[str, Any] = {"reason": "busy", "message": "", "terms": TERMS, "now": T0}
    assert leases.give_back(database, "attic", lease.lease, **busy) == "review"


def test_who_is_heard_in_time_keeps_its_lease(database: Database) -> None:
    """Looking for the silent and ending them are two steps; between them one may have been heard."""
    lease = lease_of(database)
    leases.renew(database, "attic", [lease.lease], T0 + 30 * SECOND)
    with database.transaction() as connection:
        cutoff = T0 + 20 * SECOND
        assert attempts.end(connection, lease.lease, Attempt("expired"), TERMS, T0, cutoff=cutoff) is None
        assert attempts.end(connection, "x", Attempt("expired"), TERMS, T0) is None
        assert attempts.end(connection, "0" * 32, Attempt("expired"), TERMS, T0) is None
        assert one(connection.execute("SELECT count(*) FROM lease WHERE ended IS NULL"))[0] == 1


def test_reasons_in_words(database: Database) -> None:
    """The newest twenty attempts, with what was said, or what it is called."""
    lease = lease_of(database)
    terms = TERMS._replace(attempts=2)
    with database.transaction() as connection:
        attempts.end(connection, lease.lease, Attempt("failed", "no_route", "No route to host."), terms, T0)
    (lease,) = ask(database, "attic", at=T0 + timedelta(hours=1))
    with database.transaction() as connection:
        attempts.end(connection, lease.lease, Attempt("rejected", "out_of_scope"), terms, T0)
    assert jobs.target(database, lease.target).reason == (
        "2 attempts failed. 1 (attic): failed, No route to host. 2 (attic): rejected, out of scope."
    )
