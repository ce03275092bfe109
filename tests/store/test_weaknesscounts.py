"""Findings counted by value and by endpoint, with what was decided, against the naive model."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.model.facets import read_facets
from spectra.model.fields import FIELDS
from spectra.model.query import Query, parse
from spectra.store import weaknesscounts
from spectra.store.database import Database
from spectra.store.facets import answer
from spectra.store.weaknesscounts import VALUES, Count, Spot, counts
from tests.store import flaws
from tests.store.flaws import FLAWS, NAMES, Decision, Flaw, Told
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.world import world


def _band(flaw: Flaw) -> str:
    if flaw.cvss is None:
        return ""
    return "10" if flaw.cvss == 10 else f"{int(flaw.cvss)}-{int(flaw.cvss)}.9"


_VALUES: dict[str, Callable[[Flaw], str]] = {
    "vuln": lambda flaw: flaw.cve,
    "severity": lambda flaw: flaw.severity,
    "kev": lambda flaw: str(flaw.kev).lower(),
    "cvss": _band,
}


def test_every_facet_of_findings_is_one() -> None:
    """They are fields of the language, and the model here has all of them."""
    assert VALUES.keys() == _VALUES.keys()
    assert all(FIELDS[name].facetable for name in VALUES)


_told = st.builds(
    Told, st.integers(0, len(NAMES) - 1), st.integers(0, len(FLAWS) - 1), st.integers(0, 1), st.just(False)
)
_decided = st.builds(
    Decision,
    st.sampled_from([flaw.cve for flaw in FLAWS]),
    st.sampled_from(["fixed", "accepted", "affected"]),
    st.sampled_from([None, None, "10.0.0.1"]),
    port=st.none(),
    protocol=st.none(),
    removed=st.just(False),
    ended=st.just(False),
    cpe=st.sampled_from(["", "cpe:2.3:a:openbsd", NAMES[0][1]]),
    order=st.integers(0, 9),
)


def test_facets_count_each_value_once_an_endpoint(database: Database, write: Scribe) -> None:
    """By the model: less what is settled, everywhere or for a host; and what has no value."""
    endpoints = [e for e in world(write) if e.state == "open"]
    with database.connection() as connection:
        flaws.known(connection, random.Random(5))
        runs = flaws.software_of(connection)

    @settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(st.lists(_told, max_size=14), st.lists(_decided, max_size=5))
    def check(told: list[Told], decided: list[Decision]) -> None:
        with database.connection() as connection:
            flaws.tell(connection, told, decided)
        has = [flaws.findings(e.key, runs.get(e.key), told, decided) for e in endpoints]
        facets = answer(database, Query(), read_facets("vuln:99,severity:99,kev:99,cvss:99")).facets
        for name, value in _VALUES.items():
            values = [{value(flaw) for flaw in mine} - {""} for mine in has]
            counted = Counter(one for mine in values for one in mine)
            assert {v.value: v.count for v in facets[name].values} == counted, name
            assert (facets[name].missing, facets[name].other) == (sum(not mine for mine in values), 0)
            assert facets[name].exact

    check()


_QUESTIONS = ("", "severity:critical", "kev:false port:22", "-severity:high", "cvss:>5 -kev:true", "has:finding")


def test_a_value_is_counted_as_its_search_finds_it(database: Database, write: Scribe) -> None:
    """Added to the question as a term it finds as many as were counted, whatever was decided for everywhere or a host.

    Beside a term about findings that are those of one finding that both hold for.
    """
    world(write)
    with database.connection() as connection:
        flaws.known(connection, random.Random(5))

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(st.lists(_told, max_size=14), st.lists(_decided, max_size=5), st.sampled_from(_QUESTIONS))
    def check(told: list[Told], decided: list[Decision], q: str) -> None:
        with database.connection() as connection:
            flaws.tell(connection, told, decided)
        for name, facet in answer(database, parse(q, T0), read_facets("vuln:99,severity,kev,cvss:99")).facets.items():
            for value in facet.values:
                found = answer(database, parse(f"{q} {name}:{value.value}", T0)).total
                assert found.count == value.count, (name, value)

    check()


def test_every_value_can_be_searched(database: Database, write: Scribe) -> None:
    """Each facet has values here, and those of the whole are found again."""
    world(write)
    with database.connection() as connection:
        flaws.known(connection, random.Random(5))
        flaws.tell(connection, [Told(n % len(NAMES), n % len(FLAWS)) for n in range(20)])
    for name, facet in answer(database, Query(), read_facets("vuln:99,severity,kev,cvss:99")).facets.items():
        assert facet.values
        for value in facet.values:
            assert answer(database, parse(f"{name}:{value.value}", T0)).total.count == value.count


def test_of_many_decisions_an_estimate_is_told(
    database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where more endpoints have decisions of their own than are looked at, unless exactness is asked for."""
    monkeypatch.setattr(weaknesscounts, "MANY", 1)
    write([host(f"10.0.0.{n}", T0, seen(22, "ssh")) for n in range(1, 4)])
    with database.connection() as connection:
        flaws.known(connection, random.Random(1))
        connection.execute("UPDATE service SET software = 1")
        decided = [Decision(FLAWS[0].cve, "fixed", f"10.0.0.{n}") for n in (1, 2)]
        flaws.tell(connection, [Told(0, 0)], decided)
    found = answer(database, Query(), read_facets("severity,port")).facets
    assert [(v.value, v.count) for v in found["severity"].values] == [("high", 3)]
    assert (found["severity"].exact, found["port"].exact) == (False, True)
    exactly = answer(database, Query(), read_facets("severity"), exact=True).facets["severity"]
    assert ([(v.value, v.count) for v in exactly.values], exactly.missing, exactly.exact) == ([("high", 1)], 2, True)


def test_nothing_is_asked_where_nothing_runs(database: Database, write: Scribe) -> None:
    """Endpoints of which no software is known have no findings, in whatever order they come."""
    write([host("10.0.0.1", T0, seen(22, "ssh"), seen(23))])
    with database.connection() as connection:
        flaws.known(connection, random.Random(1))
        flaws.tell(
            connection, [Told(0, 2), Told(0, 0), Told(0, 5)], [Decision(FLAWS[2].cve, "fixed", "10.0.0.1", 22, "tcp")]
        )
        assert counts(connection, []) == []
        bare = Spot("10.0.0.1", 23, 6, None)
        assert counts(connection, [bare]) == [Count()]
        asked = [bare, Spot("10.0.0.1", 22, 6, 1), Spot("10.0.0.1", 24, 6, 1), Spot("10.0.0.2", 22, 6, 1), bare]
        found = counts(connection, asked)
    assert found == [Count(), Count(2, "high"), Count(3, "critical"), Count(3, "critical"), Count()]


def test_a_finding_that_nobody_scored_has_no_severity(database: Database) -> None:
    """It counts all the same."""
    with database.connection() as connection:
        flaws.known(connection, random.Random(1))
        flaws.tell(connection, [Told(0, 5)])
        assert counts(connection, [Spot("10.0.0.1", 22, 6, 1)]) == [Count(1, "")]
