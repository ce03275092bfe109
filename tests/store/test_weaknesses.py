"""Terms about weaknesses against a naive model: random findings, random decisions, whatever way they are looked up."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.model.fields import FINDINGS
from spectra.model.lifetimes import Lifetimes
from spectra.model.plans import Selectors
from spectra.model.query import Query, Scores, Term, Text, format_query, parse
from spectra.store import coverage, diff, lookups, plans, search, weaknesses
from spectra.store.counts import count
from spectra.store.database import Database
from spectra.store.filters import resolve
from spectra.store.scandiff import scandiff
from spectra.store.staleness import Ages
from tests.store import flaws
from tests.store.flaws import FLAWS, NAMES, Decision, Told
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.test_filters import found
from tests.store.world import Endpoint, expected, world

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)

# A random graph ------------------------------------------------------------------------------------------------------

_told = st.builds(
    Told,
    st.integers(0, len(NAMES) - 1),
    st.integers(0, len(FLAWS) - 1),
    st.integers(0, 1),
    st.sampled_from([False, False, False, True]),
)
_cves = st.sampled_from([flaw.cve for flaw in FLAWS] + ["CVE-2000-0001"])
_statuses = st.sampled_from(
    ["accepted", "false_positive", "not_affected", "fixed", "fixed", "investigating", "affected"]
)
_cpes = st.sampled_from(["", "", "cpe:2.3:a:openbsd:openssh", "cpe:2.3:a:*:*:8.9", NAMES[0][1], NAMES[2][0]])


@st.composite
def _decisions(draw: st.DrawFn, endpoints: list[Endpoint]) -> Decision:
    scope = draw(st.sampled_from(["everywhere", "host", "endpoint"]))
    ip, port, protocol = draw(st.sampled_from(endpoints)).key
    return Decision(
        draw(_cves),
        draw(_statuses),
        None if scope == "everywhere" else ip,
        port if scope == "endpoint" else None,
        protocol if scope == "endpoint" else None,
        draw(_cpes),
        removed=draw(st.sampled_from([False, False, True])),
        ended=draw(st.sampled_from([False, False, True])),
        order=draw(st.integers(0, 9)),
    )


_bounds = st.sampled_from([0.0, 0.00042, 0.5, 0.6, 0.95, 1.0, 2.1, 5.0, 8.1, 9.8, 10.0])


@st.composite
def _terms(draw: st.DrawFn) -> Term:
    name = draw(st.sampled_from(FINDINGS))
    match name:
        case "vuln":
            start = st.sampled_from(["", "CVE-2024-", "CVE-2024-6387", "CVE-1"])
            value = _cves.map(Text) | start.map(lambda text: Text(text, prefix=True))
        case "cvss" | "epss":
            value = (
                st.builds(Scores, _bounds, st.none(), st.booleans())
                | st.builds(Scores, st.none(), _bounds, st.booleans())
                | st.tuples(_bounds, _bounds).map(lambda pair: Scores(min(pair), max(pair)))
            )
        case "severity":
            value = st.sampled_from(["critical", "high", "medium", "low", "none"]).map(Text)
        case _:
            value = st.sampled_from(["true", "false"] if name == "kev" else ["finding"]).map(Text)
    return Term(name, tuple(draw(st.lists(value, min_size=1, max_size=2))), draw(st.booleans()))


class Way(NamedTuple):
    """How much is looked up at once, and whether CVEs count as common."""

    many: int
    common: float


@pytest.mark.parametrize("way", [Way(5000, 0.2), Way(5000, 0.0), Way(0, 1.0), Way(1, 0.0)])
def test_any_findings_and_any_decisions(
    database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    """Whatever is affected and was decided, and however it is looked up: each match, no other, and what it tells."""
    monkeypatch.setattr(lookups, "FEW", way.many)
    monkeypatch.setattr(lookups, "MANY", way.many)
    monkeypatch.setattr(weaknesses, "COMMON", way.common)
    endpoints = world(write)
    with database.connection() as connection:
        flaws.known(connection, random.Random(5))
        runs = flaws.software_of(connection)
        connection.execute("ANALYZE")

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(
        st.lists(_told, max_size=14),
        st.lists(_decisions(endpoints), max_size=8),
        st.lists(st.lists(_terms(), min_size=1, max_size=3), min_size=1, max_size=4),
    )
    def check(told: list[Told], decided: list[Decision], asked: list[list[Term]]) -> None:
        with database.connection() as connection:
            flaws.tell(connection, told, decided)
        for e in endpoints:
            e.findings = flaws.findings(e.key, runs.get(e.key), told, decided)
        for terms in asked:
            query = Query(tuple(terms))
            assert set(found(database, query)) == expected(endpoints, query), format_query(query)
        rank = ["", "none", "low", "medium", "high", "critical"]
        suffers = {e.key: (len(e.findings), max((f.severity for f in e.findings), key=rank.index, default=""))
                   for e in endpoints}  # fmt: skip
        for match in search.search(database, Query(), limit=5000).matches:
            assert (match.findings, match.worst) == suffers[match.ip, match.port, match.protocol]

    check()


# Meaning worth a test of its own -------------------------------------------------------------------------------------


@pytest.fixture
def town(database: Database, write: Scribe) -> Database:
    """Three hosts: OpenSSH 8.9 with a high and a known exploited critical weakness, OpenSSH 9.2 with a medium one, and
    a port of which nothing is known.
    """
    write([host("10.0.0.1", T0, seen(22, "ssh", "OpenSSH", "8.9"), seen(23))])
    write([host("10.0.0.2", T0, seen(22, "ssh", "OpenSSH", "9.2"))])
    write([host("10.0.0.3", T0, seen(22, "ssh", "OpenSSH", "8.9"))])
    with database.connection() as connection:
        flaws.known(connection, random.Random(1))
        connection.execute("UPDATE service SET software = CASE version WHEN '8.9' THEN 1 ELSE 2 END")
    return database


TOLD = (Told(0, 0), Told(0, 2), Told(1, 1))


def tell(database: Database, *decided: Decision) -> None:
    """What is affected, and these decisions."""
    with database.connection() as connection:
        flaws.tell(connection, TOLD, decided)


def ask(database: Database, q: str) -> list[tuple[str, int]]:
    """(ip, port) of the matches, in order; the count says the same."""
    query = parse(q, NOW)
    matches = [(m.ip, m.port) for m in search.search(database, query, sort="ip").matches]
    assert count(database, query).count == len(matches)
    return matches


ONE, BARE, TWO, THREE = ("10.0.0.1", 22), ("10.0.0.1", 23), ("10.0.0.2", 22), ("10.0.0.3", 22)


def test_terms_hold_for_the_same_finding(town: Database) -> None:
    """High and exploited is one CVE that is both, not two that are one of it each."""
    tell(town)
    assert ask(town, "severity:high") == ask(town, "kev:true") == [ONE, THREE]
    assert ask(town, "severity:high kev:true") == []
    assert ask(town, "cvss:>9 kev:true vuln:CVE-2023-*") == [ONE, THREE]
    assert ask(town, "severity:high,medium port:22") == [ONE, TWO, THREE]


def test_excluding_a_finding_keeps_what_has_none(town: Database) -> None:
    """Each excluding term on its own: no such finding, also where no service is known."""
    tell(town)
    assert ask(town, "-kev:true") == [BARE, TWO]
    assert ask(town, "-has:finding") == [BARE]
    assert ask(town, "-severity:medium -kev:true") == [BARE]
    assert ask(town, "severity:high -kev:true") == []
    assert ask(town, "-vuln:CVE-2000-0001") == [ONE, BARE, TWO, THREE]


def test_what_is_not_scored_is_neither_low_nor_high(town: Database) -> None:
    """A CVE without a score is found by its name, and by no comparison."""
    with town.connection() as connection:
        flaws.tell(connection, [Told(1, 5)])
    assert ask(town, "has:finding") == ask(town, "vuln:CVE-2020-9999") == ask(town, "kev:false") == [TWO]
    assert ask(town, "cvss:>=0") == ask(town, "cvss:<=10") == ask(town, "severity:none") == ask(town, "epss:>=0") == []


def test_a_score_is_the_decimal_number_that_was_written(town: Database) -> None:
    """The column has single precision: 9.8 is 9.8, not a little more."""
    tell(town)
    assert ask(town, "cvss:9.8") == ask(town, "cvss:>=9.8") == ask(town, "cvss:>9.7") == [ONE, THREE]
    assert ask(town, "cvss:>9.8") == []
    assert ask(town, "epss:0.00042") == ask(town, "epss:<=0.00042") == [TWO]


def test_the_narrower_decision_outweighs_the_wider(town: Database) -> None:
    """Settled everywhere but not at one host; settled at one endpoint alone."""
    tell(town, Decision("CVE-2023-1000", "not_affected"), Decision("CVE-2023-1000", "affected", "10.0.0.3"))
    assert ask(town, "kev:true") == [THREE]
    assert ask(town, "-kev:true") == [ONE, BARE, TWO]
    tell(town, Decision("CVE-2023-1000", "fixed", "10.0.0.1", 22, "tcp"))
    assert ask(town, "kev:true") == [THREE]
    assert ask(town, "has:finding") == [ONE, TWO, THREE]
    assert ask(town, "-kev:true") == [ONE, BARE, TWO]


def test_without_decisions_a_question_is_about_services_alone(town: Database) -> None:
    """So that the tallies answer it; also where a decision changes no answer."""
    for decided in ([], [Decision("CVE-2024-6387", "fixed", "10.0.0.1")], [Decision("CVE-1999-0001", "fixed")]):
        tell(town, *decided)
        for q in ("has:finding", "-cvss:>8", "kev:true"):
            with town.connection() as connection:
                conditions = resolve(connection, parse(q, NOW)).conditions
            assert not any("triage" in c.sql or "e.ip" in c.sql for c in conditions), (q, decided)


def test_a_past_version_is_judged_by_what_ran_then(town: Database, write: Scribe) -> None:
    """In a list of differences an upgraded endpoint counts by either side, with what was decided for it."""
    write([host("10.0.0.1", T0 + DAY, seen(22, "ssh", "OpenSSH", "9.2"))])
    window = diff.Window(T0 + DAY / 2, T0 + 2 * DAY)
    tell(town)
    assert [e.ip for e in diff.diff(town, window, parse("kev:true", NOW)).entries] == ["10.0.0.1"]
    assert ask(town, "kev:true") == [THREE]
    tell(town, Decision("CVE-2023-1000", "fixed", "10.0.0.1"))
    assert diff.diff(town, window, parse("kev:true", NOW)).entries == ()
    assert [e.ip for e in diff.diff(town, window, parse("severity:medium", NOW)).entries] == ["10.0.0.1"]


def test_whatever_takes_a_query_takes_these(town: Database, write: Scribe) -> None:
    """Plans, coverage, the hosts counted and the differences of two scans, with a decision for one host."""
    write([host("10.0.0.1", T0 + DAY, seen(22, "ssh", "OpenSSH", "9.2"))], at=T0 + DAY, scan_id="later")
    tell(town, Decision("CVE-2024-63870", "fixed", "10.0.0.2"))
    ages = Ages(NOW, Lifetimes())
    for q, spots in {
        "cvss:>8": [THREE], "severity:medium": [ONE], "-has:finding": [BARE, TWO], "has:finding": [ONE, THREE]
    }.items():  # fmt: skip
        query = parse(q, NOW)
        plan = plans.create(town, plans.Asked("alice", Selectors(q=q), query, ages))
        assert sorted((t.ip, t.port) for t in plan.targets) == ask(town, q) == spots
        assert coverage.coverage(town, query, ages).endpoints == len(spots)
        assert count(town, query, exact=True).hosts == len(spots)
    changed = [scandiff(town, ("scan-1", "later"), parse(q, NOW)).entries for q in ("kev:true", "severity:low")]
    assert [[e.ip for e in entries] for entries in changed] == [["10.0.0.1"], []]


def test_rejected_and_taken_back_are_no_findings(town: Database) -> None:
    """What a source took back, and a CVE that was rejected since."""
    with town.connection() as connection:
        flaws.tell(connection, [Told(0, 0, over=True), Told(1, 7)])
    assert ask(town, "has:finding") == []
    assert ask(town, "vuln:CVE-2019-5555") == []


def test_a_question_with_few_services_lists_them(town: Database) -> None:
    """As the planner can weigh it."""
    tell(town)
    with town.connection() as connection:
        *_, last = resolve(connection, parse("has:finding", NOW)).conditions
    assert last.sql == "e.service = ANY(%s::uuid[])"
