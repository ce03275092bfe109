"""Batches of records: what is new is written, what is known is left, and any order of sources gives the same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from spectra.intel.vulns import merge
from spectra.model.vulns import SOURCES, Criterion, Node, Vuln, VulnRecord
from spectra.store import vulns, vulnwrite
from spectra.store.database import Database
from spectra.store.vulnwrite import Outcome, Writer
from tests.store.vulnfeed import INTEL, NOW, affects, corpus, counted, name, record, rows, write

DAY = timedelta(days=1)


def news(database: Database) -> set[str | None]:
    """The CVEs that services have to be held against, None for one that is gone; they are not any more."""
    found = {cve for (cve,) in rows(database, "SELECT cve FROM vuln_news LEFT JOIN vuln USING (num)")}
    rows(database, "DELETE FROM vuln_news RETURNING num")
    return found


def test_a_batch_is_written_once(database: Database) -> None:
    """The same again changes nothing, not even on disk."""
    batch = [record(n, "httpd", "proxy") for n in range(1, 6)]
    assert write(database, batch) == Outcome(5, 5, 0, 0, 5)
    before = rows(database, "SELECT cve, xmin::text, changed FROM vuln ORDER BY cve"), corpus(database)
    assert write(database, batch, NOW + DAY) == Outcome(5)
    assert (rows(database, "SELECT cve, xmin::text, changed FROM vuln ORDER BY cve"), corpus(database)) == before
    assert write(database, []) == Outcome()


def test_only_changed_rules_are_news(database: Database) -> None:
    """Another text is none; another range, product or status, or another source of the rules is."""
    write(database, [record(n, "httpd") for n in range(1, 7)] + [record(7)])
    assert len(news(database)) == 6
    changed = [
        record(1, "httpd", day=2, title="A title"),
        record(2, day=2, configurations=affects("httpd", below="3.0")),
        record(3, "proxy", day=2),
        record(4, "httpd", day=2, status="disputed"),
        record(5, "httpd", day=2, status="rejected"),
        record(7, day=2, status="disputed"),
    ]
    assert write(database, changed, NOW + DAY) == Outcome(6, 0, 6, 0, 4)
    assert news(database) == {f"CVE-2026-{n:04}" for n in (2, 3, 4, 5)}
    write(database, [record(6, "httpd", source="cve"), record(7, "httpd", source="cve")])
    assert news(database) == {"CVE-2026-0007"}, "the NVD's configurations are believed first"
    write(database, [record(7, "httpd", day=3)])
    assert news(database) == {"CVE-2026-0007"}, "another source tells the same range now"
    assert counted(database)


def test_a_source_that_goes_backwards(database: Database) -> None:
    """A late mirror's record is not taken; a record without a time is, for nothing says that it is old."""
    write(database, [record(1, "httpd", day=5)])
    assert write(database, [record(1, "proxy", day=4)]) == Outcome(1, older=1)
    assert write(database, [record(1, "squid", day=5)]).changed == 1
    assert write(database, [record(1, "squid", day=1, source="cve")]).added == 1, "each source has its own time"
    assert write(database, [record(1, "nginx", modified=None)]).changed == 1
    assert rows(database, "SELECT product FROM product WHERE vulns > 0") == [("nginx",)]


def test_one_cve_twice_in_a_batch(database: Database) -> None:
    """The newest counts, wherever it stands; of two of one time the last."""
    write(database, [record(1, "httpd", day=2), record(1, "proxy", day=1)])
    assert rows(database, "SELECT product FROM product WHERE vulns > 0") == [("httpd",)]
    write(database, [record(2, "httpd"), record(2, "squid")])
    assert ("squid",) in rows(database, "SELECT product FROM product WHERE vulns > 0")


def test_what_no_database_holds(database: Database) -> None:
    """NUL in texts, an id that is none, and a text of a megabyte cost their batch nothing."""
    odd = [
        record(1, "httpd", title="a\x00b", description=f"{'word ' * 300_000}\x00", aliases=("\x00",)),
        VulnRecord("CVE-26-1", "nvd"),
        record(3, configurations=(Node(criteria=(Criterion(name("x\x00y")), Criterion(name("proxy")))),)),
        record(4, "httpd", title="a \\u0000 in letters"),
    ]
    assert write(database, odd) == Outcome(4, 3, 0, 0, 3)
    with database.connection() as connection:
        assert vulns.get(connection, "CVE-2026-0001").vuln.title == "ab"
        assert vulns.get(connection, "CVE-2026-0004").vuln.title == "a \\u0000 in letters"


def test_ten_thousand_names(database: Database) -> None:
    """A CVE of a whole range of devices is stored and read like any other."""
    many = tuple(Criterion(f"cpe:2.3:h:acme:device_{n}:-:*:*:*:*:*:*:*") for n in range(10_000))
    told = record(1, configurations=(Node(criteria=many),))
    write(database, [told])
    with database.connection() as connection:
        assert vulns.get(connection, told.cve).vuln == merge([told])
    assert rows(database, "SELECT count(*), sum(vulns) FROM product") == [(10_000, 10_000)]


def test_a_batch_that_fails_leaves_nothing(database: Database) -> None:
    """Not one of its CVEs, products or rules."""
    calls = 0

    def breaking(records: Any) -> Vuln:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise ValueError("a defect")
        return merge(records)

    with pytest.raises(ValueError, match="a defect"), database.transaction() as connection:
        Writer(connection, INTEL._replace(merge=breaking), NOW).write([record(n, "httpd") for n in range(1, 6)])
    assert not any(corpus(database).values())


def test_two_writers_at_once(database: Database) -> None:
    """Two coordinators that take the same feeds in: both get through, and it is as if there had been one."""
    batches = [
        [record(n, f"p{n % 7}", source=s) for n in range(first, first + 20)] for s in SOURCES for first in (1, 21)
    ]
    start = threading.Barrier(2)

    def all_of(order: list[list[VulnRecord]]) -> None:
        start.wait(10)
        for batch in order:
            write(database, batch)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(all_of, (batches, batches[::-1])))
    both = corpus(database)
    assert counted(database)
    rows(database, "WITH gone AS (DELETE FROM vuln RETURNING num) SELECT count(*) FROM gone")
    rows(database, "WITH gone AS (DELETE FROM product RETURNING id) SELECT count(*) FROM gone")
    for batch in batches:
        write(database, batch)
    assert corpus(database) == both


def test_a_writer_waits_for_the_other(database: Database) -> None:
    """Held by a lock that ends with the transaction."""
    with database.transaction() as connection:
        vulnwrite.lock(connection)
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        assert rows(database, locks) == [(1,)]
    assert rows(database, locks) == [(0,)]


def test_taking_a_source_back(database: Database) -> None:
    """What the others say remains; a CVE that nobody tells of goes, unless findings refer to it."""
    write(database, [record(1, "httpd"), record(2, "httpd"), record(3, "httpd")])
    write(database, [record(2, "proxy", source="cve")])
    news(database)
    rows(
        database,
        """INSERT INTO affected (software, vuln, since, reason, confidence, identity)
           SELECT 1, num, now(), 1, 1, 0 FROM vuln WHERE cve = 'CVE-2026-0003' RETURNING 1""",
    )
    after, steps = 0, list[int]()
    while not steps or steps[-1]:
        with database.transaction() as connection:
            after, done = Writer(connection, INTEL, NOW + DAY).forget("nvd", after, 2)
        steps.append(done)
    assert steps == [2, 1, 0]
    assert rows(database, "SELECT cve, configured FROM vuln ORDER BY sort") == [
        ("CVE-2026-0002", "cve"),
        ("CVE-2026-0003", ""),
    ]
    assert news(database) == {None, "CVE-2026-0002", "CVE-2026-0003"}, "also of the one that is gone"
    assert rows(database, "SELECT product FROM product WHERE vulns > 0") == [("proxy",)]
    assert counted(database)


class Sources(RuleBasedStateMachine):
    """Records of few CVEs by all sources, older and newer, in batches of any size: the store against a dictionary."""

    database: Database

    @initialize()
    def empty(self) -> None:
        self.told: dict[tuple[str, str], VulnRecord] = {}
        with self.database.connection() as connection:
            connection.execute("TRUNCATE vuln, product RESTART IDENTITY CASCADE")

    @rule(
        source=st.sampled_from(SOURCES),
        told=st.lists(
            st.tuples(st.integers(1, 4), st.lists(st.sampled_from("abc"), unique=True), st.integers(1, 3)), max_size=5
        ),
    )
    def batch(self, source: str, told: list[tuple[int, list[str], int]]) -> None:
        records = [record(number, *products, day=day, source=source) for number, products, day in told]
        write(self.database, records)
        newest: dict[str, VulnRecord] = {}
        for one in records:
            if one.cve not in newest or one.modified >= newest[one.cve].modified:  # type: ignore[operator]
                newest[one.cve] = one
        for cve, one in newest.items():
            held = self.told.get((cve, source))
            if held is None or one.modified >= held.modified:  # type: ignore[operator]
                self.told[cve, source] = one

    @invariant()
    def as_told(self) -> None:
        cves: dict[str, list[VulnRecord]] = {}
        for (cve, _), one in self.told.items():
            cves.setdefault(cve, []).append(one)
        merged = {cve: merge(records) for cve, records in cves.items()}
        with self.database.connection() as connection:
            found = {cve: vulns.get(connection, cve).vuln for cve in vulns.nums(connection, list(cves))}
        assert found == merged
        rules = {(rule.cve, rule.product.product) for vuln in merged.values() for rule in INTEL.rules_of(vuln)}
        query = "SELECT cve, p.product FROM vuln_rule r JOIN vuln USING (num) JOIN product p ON p.id = r.product"
        assert set(rows(self.database, query)) == rules
        assert counted(self.database)


def test_any_order_of_sources(database: Database) -> None:
    """What is read is what the newest records of all sources make together, and rules and counts follow."""
    machine = type("Here", (Sources,), {"database": database})
    few = hypothesis.settings(max_examples=20, stateful_step_count=8, deadline=None)
    run_state_machine_as_test(machine, settings=few)
