"""Leases: whose turn it is, what limits hold, and that nobody is given what another has."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from spectra.errors import NotFound
from spectra.model.presets import Preset
from spectra.model.work import Constraints, Endpoint
from spectra.store import jobs, leases, nodes, results, workers, workstate
from spectra.store.database import Database, one
from spectra.store.jobs import Held, NewTarget
from spectra.store.leases import Asker, Said
from tests.store.scribe import Scribe, host, seen
from tests.store.toil import NMAP, ROOT, SECOND, T0, TERMS, WAYS, ask, hosts, job, settle, submit
from tests.store.toil import workers as members

pytestmark = pytest.mark.engine


def states(database: Database, name: str) -> list[str]:
    """The state of each target of a job, in order."""
    return [target.state for target in jobs.targets(database, name, limit=1000)[0]]


def test_a_lease_says_all_that_an_order_has_to(database: Database) -> None:
    """Everything the machine has to know, and the same when it is said again."""
    members(database, "attic")
    made = job(
        database,
        [NewTarget(("10.0.0.1", "10.0.0.2"), "10.0.0.0/24", 2, "22,80")],
        rate=300,
        windows=("Mon-Fri 22:00-06:00",),
    )
    (given,) = ask(database, "attic")
    assert given._replace(lease="") == leases.Leased(
        lease="",
        node="attic",
        job=made.job,
        target=given.target,
        attempt=1,
        scan_id="scan-1",
        targets=("10.0.0.1", "10.0.0.2"),
        ports="22,80",
        preset=WAYS,
        permission=made.permission,
        rate=300,
        network="10.0.0.0/24",
        windows=("Mon-Fri 22:00-06:00",),
        leased=T0,
    )
    assert leases.order_of(database, given.lease, TERMS) == given
    assert leases.held(database, "attic") == leases.held(database) == [Held("attic", given.lease, T0)]
    target = jobs.target(database, given.target)
    assert (target.state, target.node, target.attempts, target.history[0].lease) == ("leased", "attic", 0, given.lease)


@pytest.mark.parametrize(
    ("asked", "preset", "network", "rate"),
    [(0, 0, "10.0.0.0/24", 500), (0, 200, "10.0.0.0/24", 200), (900, 0, "10.0.0.0/24", 500), (900, 0, "", 900)],
)
def test_the_rate_is_the_lowest_of_all(database: Database, asked: int, preset: int, network: str, rate: int) -> None:
    """Of the job, the preset, and the share of a network that may have two at once."""
    members(database, "attic")
    job(database, [NewTarget(("a",), network, 1)], rate=asked, preset=msgspec.structs.replace(WAYS, rate=preset))
    assert [given.rate for given in ask(database, "attic")] == [rate]


def test_priorities_first_then_who_waited_longest(database: Database) -> None:
    """Jobs of one priority take turns; one that is more urgent goes before all of them."""
    members(database, "attic")
    first, second = job(database, 3), job(database, hosts(6)[3:])
    urgent = job(database, hosts(8)[6:], priority=5)
    terms = TERMS._replace(per_node=64)
    given = [ask(database, "attic", at=T0 + n * SECOND, terms=terms)[0].job for n in range(6)]
    assert given == [urgent.job, urgent.job, first.job, second.job, first.job, second.job]
    rest = ask(database, "attic", at=T0 + timedelta(seconds=9), count=9, terms=terms)
    assert sorted(lease.job for lease in rest) == sorted([first.job, second.job])
    assert ask(database, "attic", at=T0 + timedelta(seconds=9), terms=terms) == []


def test_only_machines_that_can(database: Database) -> None:
    """Tools, raw sockets, region, relay and a pin decide; what everybody can goes to whoever asks."""
    members(database, "attic", "barn")
    raw = Preset(name="masscan", description="", tools=("masscan",), raw=True)
    there = hosts(6)
    job(database, there[:1], preset=raw)
    job(database, there[1:2], constraints=Constraints(node="barn"))
    job(database, there[2:3], constraints=Constraints(region="eu"))
    job(database, there[3:4], constraints=Constraints(relay=True))

    def given(node: str, **can: Any) -> list[str]:
        return [lease.targets[0] for lease in ask(database, node, count=4, **can)]

    assert given("attic", tools=("connect", "masscan"), region="us") == []
    assert given("attic", tools=("connect", "masscan"), raw=True) == ["10.0.0.1"]
    assert given("attic", region="eu") == ["10.0.2.1"]
    assert given("attic", relay=True) == ["10.0.3.1"]
    assert given("barn") == ["10.0.1.1"]


def test_who_gets_nothing(database: Database) -> None:
    """Strangers, quarantined machines and those that drain; all, while work is paused, a job is, or its window shut."""
    members(database, "attic", "barn")
    made = job(database, 9)
    assert ask(database, "stranger") == []
    nodes.quarantine(database, "barn", "odd", ROOT)
    assert ask(database, "barn") == []
    workers.drain(database, "attic", True, ROOT)
    assert ask(database, "attic") == []
    workers.drain(database, "attic", False, ROOT)
    workstate.pause(database, True, "", ROOT)
    assert ask(database, "attic") == []
    workstate.pause(database, False, "", ROOT)
    jobs.pause(database, made.job, ROOT)
    assert ask(database, "attic") == []
    jobs.resume(database, made.job, ROOT)
    assert ask(database, "attic", shut=[made.job]) == []
    assert len(ask(database, "attic")) == 1


def test_limits_of_a_machine_and_of_a_network(database: Database) -> None:
    """So many at once and no more; where one network has enough, another one's turn has come."""
    members(database, "attic", "barn")
    job(database, hosts(300, per_network=100))
    assert [lease.network for lease in ask(database, "attic", count=9)] == ["10.0.0.0/24"] * 2 + ["10.0.1.0/24"] * 2
    assert [lease.network for lease in ask(database, "barn", count=9)] == ["10.0.2.0/24"] * 2
    assert ask(database, "attic", terms=TERMS._replace(per_node=9)) == []
    assert len(ask(database, "barn", count=9, terms=TERMS._replace(per_network=3))) == 2


def test_names_have_no_network_to_spare(database: Database) -> None:
    """Hostnames are handed out however many are being scanned."""
    members(database, "attic")
    job(database, [NewTarget((f"h{n}.example",), "", 1) for n in range(9)])
    given = ask(database, "attic", count=9, terms=TERMS._replace(per_node=9, per_network=1))
    assert [lease.targets[0] for lease in given] == [f"h{n}.example" for n in range(9)]


def test_many_networks_without_room_are_passed_over(database: Database) -> None:
    """Whether the first networks are full or their targets have to wait, one that is far behind is found."""
    members(database, "attic")
    made = job(database, 700)
    with database.connection() as connection:
        connection.execute("UPDATE target SET not_before = %s WHERE num %% 700 < 650", [T0 + SECOND])
    (given,) = ask(database, "attic")
    assert given.target - jobs.targets(database, made.job)[0][0].target >= 648
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO lease (id, target, attempt, node, network, leased, heard)"
            " SELECT gen_random_uuid(), num, 1, 'x', network, %s, %s FROM target WHERE num %% 700 < 200",
            [T0, T0],
        )
    (given,) = ask(database, "attic", at=T0 + SECOND, terms=TERMS._replace(per_network=1))
    assert given.network == "10.0.199.0/24" or int(given.network.split(".")[2]) >= 199


def test_renewing_tells_what_is_lost(database: Database) -> None:
    """Leases of others, ended ones and nonsense are not the machine's; what is, lives on."""
    members(database, "attic", "barn")
    job(database, 9)
    mine, ended = ask(database, "attic", count=2)
    (other,) = ask(database, "barn")
    submit(database, ended)
    said = [mine.lease, ended.lease, other.lease, "0" * 32, "nonsense"]
    assert leases.renew(database, "attic", said, T0 + 50 * SECOND) == said[1:]
    assert leases.renew(database, "attic", [], T0) == []
    assert [held.lease for held in leases.expire(database, TERMS, T0 + 61 * SECOND)] == [other.lease]
    leases.renew(database, "attic", [mine.lease], T0)  # an old message takes nothing back
    assert leases.expire(database, TERMS, T0 + 110 * SECOND) == []


def test_progress_is_kept_and_keeps_alive(database: Database) -> None:
    """The last word on each lease counts; nobody speaks for another's."""
    members(database, "attic", "barn")
    job(database, 2)
    (mine,) = ask(database, "attic")
    leases.progress(
        database,
        "attic",
        [Said(mine.lease, 0.25, 1, "begun"), Said(mine.lease, 0.5, 7, "half"), Said("nonsense", 1, 1, "")],
        T0 + 50 * SECOND,
    )
    leases.progress(database, "barn", [Said(mine.lease, 1.0, 99, "mine!")], T0 + 90 * SECOND)
    leases.progress(database, "barn", [], T0)
    target = jobs.target(database, mine.target)
    assert (target.fraction, target.found, target.history[0].note) == (0.5, 7, "half")
    assert target.history[0].heard == T0 + 50 * SECOND
    assert leases.expire(database, TERMS, T0 + 100 * SECOND) == []


def test_silence_hands_the_target_to_another(database: Database) -> None:
    """At once the first time; the machine that was silent comes last. Its lease can be said again no more."""
    members(database, "attic", "barn")
    made = job(database, 1)
    (lost,) = ask(database, "attic")
    late = T0 + 61 * SECOND
    assert leases.expire(database, TERMS, late) == [Held("attic", lost.lease, T0)]
    assert leases.expire(database, TERMS, late) == []
    with pytest.raises(NotFound) as caught:
        leases.order_of(database, lost.lease, TERMS)
    assert caught.value.reason == "unknown_lease"
    assert states(database, made.job) == ["waiting"]
    assert ask(database, "attic", at=late) == []
    (again,) = ask(database, "barn", at=late)
    assert (again.target, again.attempt) == (lost.target, 2)
    leases.expire(database, TERMS, late + 61 * SECOND)
    assert ask(database, "attic", at=late + 61 * SECOND) == []  # the second time it waits for 5 s
    assert len(ask(database, "attic", at=late + 66 * SECOND)) == 1


def test_the_only_machine_gets_it_again(database: Database) -> None:
    """A lease's time later than another would have."""
    members(database, "attic")
    job(database, 1)
    ask(database, "attic")
    leases.expire(database, TERMS, T0 + 61 * SECOND)
    assert ask(database, "attic", at=T0 + 120 * SECOND) == []
    assert len(ask(database, "attic", at=T0 + 121 * SECOND)) == 1


def test_giving_back(database: Database) -> None:
    """What is no fault of the target is no attempt; a machine without the tool never gets it again."""
    members(database, "attic", "barn")
    job(database, 1)
    (first,) = ask(database, "attic")
    how: dict[str, Any] = {"message": "nmap is gone", "terms": TERMS, "now": T0}
    assert leases.give_back(database, "barn", first.lease, reason="no_tool", **how) is None
    assert leases.give_back(database, "attic", first.lease, reason="no_tool", **how) == "waiting"
    assert leases.give_back(database, "attic", first.lease, reason="no_tool", **how) is None
    assert leases.give_back(database, "attic", "nonsense", reason="no_tool", **how) is None
    assert ask(database, "attic", at=T0 + timedelta(days=1)) == []
    (second,) = ask(database, "barn")
    assert leases.give_back(database, "barn", second.lease, reason="law_unknown", **how) == "waiting"
    target = jobs.target(database, first.target)
    assert (target.attempts, target.not_before, target.reason) == (0, T0 + 5 * SECOND, "nmap is gone")
    assert [(a.end, a.reason) for a in target.history] == [("refused", "no_tool"), ("refused", "law_unknown")]


def test_the_law_takes_addresses_away(database: Database) -> None:
    """Some: the rest is scanned. All: it is cancelled, and so is its lease; what is past that stays."""
    members(database, "attic")
    made = job(database, [NewTarget(("10.0.0.1", "10.0.0.2"), "10.0.0.0/24", 2)])
    (given,) = ask(database, "attic")
    assert leases.cut(database, given.target, ["10.0.0.2"], "10.0.0.1 may not be scanned", T0)
    assert leases.order_of(database, given.lease, TERMS).targets == ("10.0.0.2",)
    assert leases.cut(database, given.target, [], "nothing may be scanned", T0)
    target = jobs.target(database, given.target)
    assert (target.state, target.reason, target.history[0].end) == (
        "cancelled",
        "nothing may be scanned",
        "cancelled",
    )
    assert not leases.cut(database, given.target, [], "again", T0)
    assert not leases.cut(database, 999_999, [], "unknown", T0)
    assert leases.held(database) == []
    assert jobs.get(database, made.job).state == "done"


def test_what_is_known_to_be_open(database: Database, write: Scribe) -> None:
    """Open endpoints in addresses, networks and ranges, the last seen first; names and nonsense have none."""
    write([host("10.0.0.1", T0, seen(22), seen(80)), host("10.0.0.9", T0, seen(443)), host("10.0.1.1", T0, seen(22))])
    there = [Endpoint("10.0.0.1", 22, "tcp"), Endpoint("10.0.0.1", 80, "tcp"), Endpoint("10.0.0.9", 443, "tcp")]
    assert list(leases.known(database, ["10.0.0.0/24"])) == there
    assert list(leases.known(database, ["10.0.0.1", "10.0.0.8-10.0.0.10", "example.org", "x-y"])) == there
    assert list(leases.known(database, ["10.0.0.0/24"], 1)) == there[:1]
    assert leases.known(database, ["example.org"]) == ()


# All at once ---------------------------------------------------------------------------------------------------------


def overlap(database: Database) -> tuple[int, int]:
    """Most leases that were ever open at once: of one machine, and of one network."""
    with database.connection() as connection:
        return (
            one(connection.execute("SELECT coalesce(max(n), 0) FROM (SELECT count(*) n FROM lease WHERE ended IS NULL"
                                   " GROUP BY node) x"))[0],
            one(connection.execute("SELECT coalesce(max(n), 0) FROM (SELECT count(*) n FROM lease WHERE ended IS NULL"
                                   " AND network <> '' GROUP BY network) x"))[0],
        )  # fmt: skip


def test_many_ask_at_once_and_nobody_gets_the_same(database: Database) -> None:
    """Sixteen threads take 300 targets of three jobs until nothing is left: each target once."""
    names = [f"n{n}" for n in range(8)]
    members(database, *names)
    there = [NewTarget((f"h{n}.example",), "", 1) for n in range(300)]
    for part in range(3):
        job(database, there[part * 100 : part * 100 + 100])

    def run(node: str) -> list[int]:
        found: list[int] = []
        while given := ask(database, node, count=2, terms=TERMS._replace(per_node=64)):
            found += [lease.target for lease in given]
        return found

    with ThreadPoolExecutor(16) as pool:
        given = [target for found in pool.map(run, names * 2) for target in found]
    assert len(given) == len(set(given)) == 300
    assert overlap(database)[0] <= 64


def test_limits_hold_while_many_ask_at_once(database: Database) -> None:
    """Six networks with room for two each, three for each machine: never one more, and in the end all is given."""
    names = [f"n{n}" for n in range(8)]
    members(database, *names)
    job(database, hosts(60, per_network=10))
    terms = TERMS._replace(per_node=3, per_network=2)

    def run(node: str) -> list[leases.Leased]:
        return ask(database, node, count=5, terms=terms)

    done = 0
    with ThreadPoolExecutor(16) as pool:
        for _ in range(20):
            given = [lease for found in pool.map(run, names * 2) for lease in found]
            of_node, of_network = overlap(database)
            assert of_node <= 3
            assert of_network <= 2
            assert len({lease.target for lease in given}) == len(given)
            done += len(given)
            for lease in given:
                submit(database, lease)
            if done == 60:
                break
    assert done == 60


def test_results_silence_and_renewals_race(database: Database) -> None:
    """Whoever comes first has it, and every target ends exactly once with what its one accepted result said."""
    names = [f"n{n}" for n in range(4)]
    members(database, *names)
    made = job(database, 24)
    now = T0
    terms = TERMS._replace(per_node=64, attempts=20)
    for turn in range(12):
        given = [lease for node in names for lease in ask(database, node, at=now, count=6, terms=terms)]
        later = now + 61 * SECOND

        def act(n_and_lease: tuple[int, leases.Leased], later: Any = later) -> None:
            n, lease = n_and_lease
            if n % 4 == 0:
                leases.renew(database, lease.node, [lease.lease], later)
            elif n % 4 == 1:
                leases.expire(database, terms, later)
            else:
                submit(database, lease, at=later, terms=terms)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(act, enumerate(given, turn)))
        for target, lease in results.submitted(database, later + SECOND):
            results.settle(database, target, lease, found=1, findings=0, terms=terms, now=later)
        now = later + 61 * SECOND
        leases.expire(database, terms, now)
        now += 1200 * SECOND
    record = jobs.get(database, made.job)
    assert record.state == "done"
    assert record.counts.done == 24
    with database.connection() as connection:
        accepted = Counter(
            row[0]
            for row in connection.execute(
                "SELECT l.target FROM result r JOIN lease l ON l.id = r.lease WHERE r.verdict = 'accepted'"
            )
        )
    assert set(accepted.values()) == {1}
    assert len(accepted) == 24


def test_the_plan_reads_no_more_than_it_gives(database: Database) -> None:
    """Among thousands of waiting targets no statement walks the table: what is read is bounded by what is given."""
    members(database, "attic")
    for _ in range(4):
        job(database, hosts(2000, per_network=100))
    with database.transaction() as connection:
        connection.execute(leases._BEGIN, [1, "x"])
        plan = connection.execute(
            "EXPLAIN (ANALYZE, FORMAT JSON) " + leases._PICK,
            {
                "node": "attic",
                "region": "",
                "relay": False,
                "raw": False,
                "tools": list(NMAP),
                "shut": [],
                "avoid": [],
                "per_network": 2,
                "per_node": 4,
                "now": T0,
                "before": T0,
            },
        ).fetchone()
    assert plan
    read = Counter[str]()

    def walk(node: dict[str, Any]) -> None:
        if node.get("Relation Name") == "target":
            read[node["Node Type"]] += int(node["Actual Rows"] * node["Actual Loops"])
        for child in node.get("Plans", ()):
            walk(child)

    walk(plan[0][0]["Plan"])
    assert "Seq Scan" not in read
    assert sum(read.values()) <= 200


def test_asking_for_none_gives_none(database: Database) -> None:
    """A machine without room is given nothing."""
    members(database, "attic")
    job(database, 1)
    assert leases.lease(database, Asker("attic", NMAP), TERMS, T0, count=0) == []
    (given,) = ask(database, "attic")
    submit(database, given)
    assert settle(database, given) == "done"
