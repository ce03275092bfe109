"""Findings follow what is known: at once, once, without touching what a change cannot affect, whatever is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from spectra.flow.correlation import MATCHING, Bounds, Correlation, Counts, Matching
from spectra.intel.correlate import Names
from spectra.model.findings import Affected, Identity, Software
from spectra.model.observation import Service
from spectra.model.vulns import Criterion, Status, Vuln
from spectra.store.database import Database
from tests.flow.desk import rows
from tests.flow.weaknesses import (
    APACHE,
    NGINX,
    OPENSSH,
    below,
    cpe,
    everything,
    open_findings,
    service,
    store,
    synced,
    tell,
    told,
    vuln,
)
from tests.support.databases import another_database

pytestmark = pytest.mark.engine

REGRESSHION = vuln("CVE-2024-6387", below(OPENSSH, "9.8p1"))
RESOLVER = vuln("CVE-2021-23017", below(NGINX, "1.20.1"))
SERVICES = [service(OPENSSH, "8.9p1"), service(OPENSSH, "9.9p1"), service(NGINX, "1.18.0")]


@pytest.fixture
def correlation(database: Database) -> Correlation:
    """As a coordinator has one."""
    return Correlation(database)


def all_steps(correlation: Correlation) -> Counts:
    """Steps until there is nothing to do."""
    total = Counts()
    while (done := correlation.step()) is not None:
        total += done
    return total


def rows_of(database: Database, cve: str) -> list[tuple[str, bool]]:
    """Rows of a CVE in order: version of the software, and whether it is open."""
    return rows(
        database,
        f"""SELECT s.body::json -> 'identities' -> 0 ->> 'cpe', a.until IS NULL FROM affected a
            JOIN software s ON s.id = a.software JOIN vuln v ON v.num = a.vuln
            WHERE v.cve = '{cve}' ORDER BY 1, a.since""",
    )


def test_services_are_named_and_matched(database: Database, correlation: Correlation) -> None:
    """What is stored after the CVEs, and what is stored before them; then there is nothing left to do."""
    tell(database, REGRESSHION)
    store(database, SERVICES[:1])
    all_steps(correlation)
    assert open_findings(database) == {("openbsd:openssh:8.9p1", "CVE-2024-6387")}
    tell(database, RESOLVER)
    store(database, SERVICES)
    all_steps(correlation)
    assert open_findings(database) == {
        ("openbsd:openssh:8.9p1", "CVE-2024-6387"),
        ("f5:nginx:1.18.0", "CVE-2021-23017"),
    }
    assert (correlation.step(), correlation.left()) == (None, 0)


def test_the_reason_is_kept(database: Database, correlation: Correlation) -> None:
    """Product, name, criterion, bounds, source and confidence of a finding, by the view that readers use."""
    tell(database, REGRESSHION)
    store(database, SERVICES[:1])
    all_steps(correlation)
    (row,) = everything(database)
    assert row[1:] == (
        "CVE-2024-6387", "a:openbsd:openssh", 0, cpe(OPENSSH), "< 9.8p1", "nvd", 0.95, "", "{}",
    )  # fmt: skip


def test_equal_services_are_evaluated_once(database: Database) -> None:
    """Services that differ in what says nothing of the software share one row, and one call of the matcher."""
    called: list[Software] = []

    def match(software: Software, rules: Any) -> Any:
        called.append(software)
        return MATCHING.match(software, rules)

    correlation = Correlation(database, MATCHING._replace(match=match))
    tell(database, REGRESSHION)
    all_steps(correlation)
    same = [Service(name=f"ssh{n}", product="OpenSSH", version="8.9p1", cpe=SERVICES[0].cpe) for n in range(20)]
    store(database, same)
    done = all_steps(correlation)
    assert (done.named, done.software, done.matched, done.opened) == (20, 1, 1, 1)
    assert len(called) == 1
    assert len(everything(database)) == 20


def test_a_change_touches_what_it_can_affect(database: Database, correlation: Correlation) -> None:
    """Of thirty software three are looked at: two of the product that a CVE names now, and the one that it named."""
    others = [service(APACHE, f"2.4.{n}") for n in range(27)]
    tell(database, REGRESSHION, vuln("CVE-2021-0001", Criterion(cpe(APACHE, "2.4.7"))))
    store(database, [*SERVICES, *others])
    all_steps(correlation)
    tell(database, vuln("CVE-2021-0001", below(OPENSSH, "9.0")))
    done = correlation.follow()
    assert (done.news, done.evaluated, done.opened, done.closed) == (1, 3, 1, 1)
    assert ("openbsd:openssh:8.9p1", "CVE-2021-0001") in open_findings(database)
    assert correlation.follow() == Counts()


@pytest.mark.parametrize(
    "after", [vuln("CVE-2024-6387"), vuln("CVE-2024-6387", below(OPENSSH, "9.8p1"), status="rejected")]
)
def test_what_lost_its_rules_is_closed_and_what_comes_back_is_opened(
    database: Database, correlation: Correlation, after: Vuln
) -> None:
    """Taken back or rejected: its row ends and stays; when it comes back there is another one, that begins later."""
    tell(database, REGRESSHION)
    store(database, SERVICES)
    all_steps(correlation)
    tell(database, after)
    assert correlation.evaluate_news().closed == 1
    assert open_findings(database) == set()
    tell(database, REGRESSHION)
    assert correlation.evaluate_news().opened == 1
    assert [is_open for _, is_open in rows_of(database, "CVE-2024-6387")] == [False, True]
    ((first, ended), (again, _)) = rows(database, "SELECT since, until FROM affected ORDER BY since")
    assert first < ended < again


def test_another_reason_keeps_the_date(database: Database, correlation: Correlation) -> None:
    """Other bounds, another source, in dispute: the row is the same and says so; what did not change is not written."""
    tell(database, REGRESSHION)
    store(database, SERVICES[:1])
    all_steps(correlation)
    before = rows(database, "SELECT since, until, ctid FROM affected")
    tell(database, REGRESSHION)
    assert correlation.evaluate_news() == Counts(news=1, evaluated=1)
    assert rows(database, "SELECT since, until, ctid FROM affected") == before
    tell(database, vuln("CVE-2024-6387", below(OPENSSH, "9.9"), status="disputed", by="cve"))
    done = correlation.evaluate_news()
    assert (done.opened, done.changed, done.closed) == (0, 1, 0)
    (row,) = everything(database)
    assert (row[5], row[6]) == ("< 9.9", "cve")
    assert [r[:2] for r in rows(database, "SELECT since, until FROM affected")] == [before[0][:2]]


def test_many_news_are_matched_by_family(database: Database) -> None:
    """More than can be followed one by one: all software that they may concern is matched again, and no other."""
    correlation = Correlation(database, bounds=Bounds(many=3))
    store(database, SERVICES)
    all_steps(correlation)
    tell(database, REGRESSHION, *(vuln(f"CVE-2020-{n:04}", below(OPENSSH, f"{n}.0")) for n in range(1, 12)))
    done = correlation.follow()
    assert (done.news, done.evaluated) == (12, 0)
    assert correlation.left() == 2
    assert all_steps(correlation).matched == 2
    assert len(open_findings(database)) == 1 + 3 + 2


def test_news_wait_for_the_end_of_a_sync(database: Database, correlation: Correlation) -> None:
    """While one is under way rules go on changing; unless somebody is in a hurry, or it takes too long."""
    store(database, SERVICES)
    all_steps(correlation)
    synced(database, running="sync-1")
    tell(database, REGRESSHION)
    assert correlation.step() is None
    assert correlation.step(hurry=True) is not None
    tell(database, RESOLVER)
    with database.connection() as connection:
        connection.execute("UPDATE vuln_news SET at = at - interval '11 minutes'")
    assert correlation.step() is not None
    assert open_findings(database) == {
        ("openbsd:openssh:8.9p1", "CVE-2024-6387"),
        ("f5:nginx:1.18.0", "CVE-2021-23017"),
    }


def test_new_services_do_not_wait_behind_old_ones(database: Database, correlation: Correlation) -> None:
    """While everything is matched again, what was never matched comes first."""
    tell(database, REGRESSHION)
    store(database, [service(OPENSSH, f"8.{n}") for n in range(30)])
    all_steps(correlation)
    correlation.again()
    store(database, SERVICES[:1])
    assert correlation.step() == Counts(named=1, software=1)
    assert correlation.step() == Counts(matched=1, opened=1)
    assert correlation.left() == 31 + 30, "all services and the old software still are ahead"


def test_what_a_sync_holds_is_left_for_later(database: Database, correlation: Correlation) -> None:
    """News that are being written again are neither waited for nor lost: they are taken when the sync has committed."""
    tell(database, REGRESSHION)
    store(database, SERVICES)
    all_steps(correlation)
    tell(database, REGRESSHION)
    with database.transaction() as connection:
        told(connection, vuln("CVE-2024-6387", below(OPENSSH, "8.0")))
        assert correlation.evaluate_news() == Counts()
    assert correlation.evaluate_news() == Counts(news=1, evaluated=2, closed=1)
    assert open_findings(database) == set()


def test_rules_that_change_between_two_batches_are_not_missed(database: Database) -> None:
    """Software that was matched by rules from memory has the news of newer ones ahead of it, whoever takes them."""
    mine = Correlation(database, bounds=Bounds(software=1))
    other = Correlation(database)
    tell(database, REGRESSHION)
    all_steps(mine)
    store(database, SERVICES[:2])
    mine.name()
    assert mine.match().matched == 1, "openssh's rules are in memory now"
    tell(database, vuln("CVE-2024-6387", below(OPENSSH, "10.0")))
    assert other.follow().news == 1
    assert mine.match().matched == 1
    assert {name for name, _ in open_findings(database)} == {"openbsd:openssh:8.9p1", "openbsd:openssh:9.9p1"}


def test_another_name_of_the_product(database: Database, correlation: Correlation) -> None:
    """A CVE that the source files under another name of nginx is found as soon as families are learned, and after."""
    store(database, SERVICES)
    all_steps(correlation)
    tell(database, RESOLVER, vuln("CVE-2013-2028", Criterion(cpe("nginx:nginx", "1.18.0"))))
    synced(database)
    all_steps(correlation)
    assert {cve for _, cve in open_findings(database)} == {"CVE-2021-23017", "CVE-2013-2028"}
    tell(database, vuln("CVE-2013-4547", below("nginx:nginx", "1.19")))
    assert correlation.follow().evaluated == 1
    assert {cve for _, cve in open_findings(database)} == {"CVE-2021-23017", "CVE-2013-2028", "CVE-2013-4547"}


def test_a_product_that_feeds_name_later(database: Database, correlation: Correlation) -> None:
    """A service without CPE is nobody's until a feed names its product; then it is, and others are not looked at."""
    unknown = Service(name="http", product="Frobnicator", version="1.2")
    store(database, [*SERVICES, unknown])
    all_steps(correlation)
    assert rows(database, "SELECT body FROM software WHERE body LIKE '%frob%'") == []
    tell(database, vuln("CVE-2025-1000", below("acme:frobnicator", "2.0")))
    synced(database)
    done = all_steps(correlation)
    assert (done.named, done.opened) == (1, 1)
    found = rows(database, "SELECT v.cve FROM affected JOIN vuln v ON v.num = vuln WHERE until IS NULL")
    assert found == [("CVE-2025-1000",)]


def test_learning_families_takes_its_rests(database: Database, correlation: Correlation) -> None:
    """Products that nobody knew may come in all the time: the background looks at all products now and then only."""
    rested = [0, 0]
    for n in range(20):
        store(database, [service(f"acme:product{n}", "1.0")])
        while correlation.step(gently=True) is not None:
            pass
        rested[correlation.due().products] += 1
    assert rested[True] > 0
    assert correlation.step() is None
    assert not correlation.due().products


def test_too_many_are_named_again_in_steps(database: Database) -> None:
    """Where a word concerns more services than one transaction takes, all are walked, also after an interruption."""
    bounds = Bounds(services=3, reworded=4)
    unknown = [Service(name="http", product="Frobnicator", version=f"1.{n}") for n in range(8)]
    store(database, [*SERVICES, *unknown])
    all_steps(Correlation(database, bounds=bounds))
    tell(database, vuln("CVE-2025-1000", below("acme:frobnicator", "2.0")))
    synced(database)
    first = Correlation(database, bounds=bounds)
    while first.due().walk is None:
        first.step()
    first.walk()
    assert all_steps(Correlation(database, bounds=bounds)).named == 8
    assert rows(database, "SELECT count(*) FROM affected WHERE until IS NULL") == [(8,)]


def other_matcher(version: int, confidence: float) -> Matching:
    """A later matcher that sees the same, and is less sure of it."""

    def identify(service: Service, names: Names) -> Software:
        found = MATCHING.identify(service, names)
        return Software(tuple(Identity(i.cpe, confidence, "said otherwise") for i in found.identities))

    return MATCHING._replace(version=version, identify=identify)


def test_another_matcher(database: Database, correlation: Correlation) -> None:
    """After a release that judges otherwise everything is named and matched again: what stays true keeps its date, and
    what it was before is gone; a coordinator of the release before does not undo it."""
    tell(database, REGRESSHION, RESOLVER)
    store(database, SERVICES)
    all_steps(correlation)
    before = dict(rows(database, "SELECT vuln, since FROM affected"))
    later = Correlation(database, other_matcher(MATCHING.version + 1, 0.5), Bounds(services=2, software=2))
    done = all_steps(later)
    assert (done.named, done.software, done.matched) == (3, 3, 3)
    assert (done.opened, done.changed, done.closed) == (0, 2, 0)
    after = rows(database, "SELECT vuln, since, until, confidence FROM affected")
    assert {vuln: since for vuln, since, _, _ in after} == before
    assert [(until, confidence) for *_, until, confidence in after] == [(None, 0.5), (None, 0.5)]
    assert rows(database, "SELECT count(*) FROM software") == [(3,)]
    assert correlation.step() is None
    assert all_steps(later) == Counts()


def test_everything_again_finds_the_same(database: Database, correlation: Correlation) -> None:
    """Nothing is written where nothing changed, and what was damaged is put right."""
    tell(database, REGRESSHION, RESOLVER)
    store(database, SERVICES)
    first = correlation.evaluate_all()
    assert (first.named, first.matched, first.opened) == (3, 3, 2)
    assert correlation.evaluate_all() == Counts(named=3, matched=3)
    found = everything(database)
    with database.connection() as connection:
        connection.execute("DELETE FROM affected WHERE vuln = (SELECT num FROM vuln WHERE cve = 'CVE-2021-23017')")
    assert correlation.evaluate_all() == Counts(named=3, matched=3, opened=1)
    assert everything(database) == found


def test_what_cannot_be_judged_keeps_nobody_else(database: Database) -> None:
    """A service that naming breaks on is nothing, a software that matching breaks on keeps its findings."""
    broken = {"naming": False, "matching": False}

    def identify(service: Service, names: Names) -> Software:
        if broken["naming"] and service.version == "8.9p1":
            raise ValueError(service)
        return MATCHING.identify(service, names)

    def match(software: Software, rules: Any) -> Sequence[Affected]:
        if broken["matching"] and "8.9" in software.identities[0].cpe:
            raise ValueError(software)
        return MATCHING.match(software, rules)

    correlation = Correlation(database, MATCHING._replace(identify=identify, match=match))
    tell(database, REGRESSHION, RESOLVER)
    store(database, SERVICES[:1])
    all_steps(correlation)
    broken["matching"] = True
    store(database, SERVICES)
    tell(database, REGRESSHION)
    all_steps(correlation)
    assert len(open_findings(database)) == 2
    broken["naming"] = True
    correlation.evaluate_all()
    assert open_findings(database) == {("f5:nginx:1.18.0", "CVE-2021-23017")}
    assert correlation.left() == 0


def test_two_coordinators_at_once(database: Database) -> None:
    """Each does what the other has not done yet; nothing is done twice."""
    tell(database, REGRESSHION, RESOLVER, *(vuln(f"CVE-2020-{n:04}", below(APACHE, f"2.4.{n}")) for n in range(1, 40)))
    store(database, [*SERVICES, *(service(APACHE, f"2.4.{n}") for n in range(40))])
    bounds = Bounds(services=3, software=2, news=4)
    pair = [Correlation(database, bounds=bounds) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(all_steps, pair)
    assert (first + second).named == 43
    assert (first + second).opened == 2 + sum(range(40))
    assert len(open_findings(database)) == 2 + sum(range(40))
    assert all_steps(pair[0]) == Counts()


@pytest.mark.parametrize("point", ["named", "evaluated", "followed", "moved"])
def test_killed_in_the_middle(database: Database, point: str) -> None:
    """kill -9 of a process that has written and not committed: another one does it all, and once."""
    tell(database, REGRESSHION, RESOLVER)
    store(database, SERVICES)
    correlation = Correlation(database)
    if point in ("followed", "moved"):
        all_steps(correlation)
        tell(database, vuln("CVE-2013-2028", below("nginx:nginx", "1.19")), vuln("CVE-2024-6387"))
        synced(database)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.flow.halfway", database.url, point], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "here"
        process.send_signal(signal.SIGKILL)
    all_steps(correlation)
    expected = {("openbsd:openssh:8.9p1", "CVE-2024-6387"), ("f5:nginx:1.18.0", "CVE-2021-23017")}
    if point in ("followed", "moved"):
        expected = {("f5:nginx:1.18.0", "CVE-2021-23017"), ("f5:nginx:1.18.0", "CVE-2013-2028")}
    assert open_findings(database) == expected
    assert rows(database, "SELECT count(*) FROM affected WHERE until IS NULL") == [(2,)]
    correlation.evaluate_all()
    assert open_findings(database) == expected


# Any order leads to the same ----------------------------------------------------------------------------------------

# Few of each, so that the same ones meet.
PRODUCTS = ("openbsd:openssh", "f5:nginx", "nginx:nginx", "acme:frobnicator")
FIRST = [
    *(service(product, "1.0") for product in PRODUCTS),
    *(Service(name="any", product=product, version="1.0") for product in ("nginx", "OpenSSH", "Frobnicator")),
]
VERSIONS = ("1.0", "2.0")
CVES = ("CVE-2025-0001", "CVE-2025-0002", "CVE-2025-0003")


def first_version(product: str) -> Criterion:
    """Version 1.0 of a product, by name."""
    return Criterion(cpe(product, "1.0"))


def told_of(name: str, some: list[Criterion], status: Status, by: str) -> Vuln:
    """A CVE of these criteria."""
    return vuln(name, *some, status=status, by=by)


def in_words(product: str, version: str) -> Service:
    """A service whose scanner gave no CPE."""
    return Service(name="any", product=product, version=version)


criteria = st.builds(below, st.sampled_from(PRODUCTS), st.just("2.0")) | st.builds(
    first_version, st.sampled_from(PRODUCTS)
)
statuses: st.SearchStrategy[Status] = st.sampled_from(["", "", "", "disputed", "rejected"])
vulns = st.builds(
    told_of,
    st.sampled_from(CVES),
    st.lists(criteria, max_size=2),
    statuses,
    st.sampled_from(["nvd", "cve"]),
)
services = st.builds(service, st.sampled_from(PRODUCTS), st.sampled_from(VERSIONS)) | st.builds(
    in_words,
    st.sampled_from(["nginx", "OpenSSH", "Frobnicator", "frob frobnicator httpd"]),
    st.sampled_from(VERSIONS),
)


class Days(RuleBasedStateMachine):
    """Whatever comes in whatever order: once all steps are taken, the open findings are those of a fresh start."""

    server = ""
    template = ""

    def __init__(self) -> None:
        super().__init__()
        self._context = another_database(self.server, self.template)
        self.database = self._context.__enter__()
        small = Bounds(services=2, software=2, news=1, many=2, reworded=2)
        self.coordinators = [Correlation(self.database, bounds=small), Correlation(self.database)]

    def teardown(self) -> None:
        """What was found a step at a time is what a fresh start finds."""
        try:
            self.settle()
            found = everything(self.database)
            forget_all(self.database)
            Correlation(self.database).evaluate_all()
            assert everything(self.database) == found
        finally:
            self._context.__exit__(None, None, None)

    @initialize(first=st.booleans())
    def begin(self, first: bool) -> None:
        """There may be services before there is any CVE."""
        if first:
            store(self.database, FIRST)

    @rule(
        vulns=st.lists(vulns, min_size=1, max_size=3, unique_by=lambda v: v.cve), ends=st.booleans(), calm=st.booleans()
    )
    def sync(self, vulns: list[Vuln], ends: bool, calm: bool) -> None:
        """Some CVEs are told of, perhaps after a `calm` in which all was done; the sync may break off after them."""
        if calm:
            self.settle()
        tell(self.database, *vulns)
        if ends:
            synced(self.database)

    @rule(found=st.lists(services, min_size=1, max_size=4))
    def scan(self, found: list[Service]) -> None:
        """Services come in."""
        store(self.database, found)

    @rule(by=st.integers(0, 1), steps=st.integers(1, 12))
    def work(self, by: int, steps: int) -> None:
        """One of the coordinators takes some steps."""
        for _ in range(steps):
            self.coordinators[by].step()

    @rule()
    def ask(self) -> None:
        """Somebody has everything done again."""
        self.coordinators[0].begin()
        self.coordinators[0].again()

    @rule()
    def settle(self) -> None:
        """All steps are taken, and nothing is left."""
        for coordinator in self.coordinators:
            all_steps(coordinator)
        assert self.coordinators[0].left() == 0
        assert rows(self.database, "SELECT FROM vuln_news") == []


def forget_all(database: Database) -> None:
    """Make the database one that knows CVEs and services and nothing that follows from them."""
    with database.transaction() as connection:
        connection.execute("UPDATE service SET software = NULL, words = NULL")
        connection.execute(
            "TRUNCATE affected, reason, software, software_product, service_word, correlation, vuln_news"
        )
        connection.execute("DELETE FROM product p WHERE NOT EXISTS (SELECT FROM vuln_rule WHERE product = p.id)")
        connection.execute("UPDATE product SET family = id")


def test_any_order_leads_to_the_same(store_server: str, migrated_template: str) -> None:
    """Syncs, scans, steps of two coordinators and requests in any order: the end is what a fresh start finds."""
    Days.server, Days.template = store_server, migrated_template
    run_state_machine_as_test(
        Days,
        settings=settings(max_examples=25, stateful_step_count=20, suppress_health_check=[HealthCheck.too_slow]),
    )
