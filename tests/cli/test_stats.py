"""`spectra count` and `spectra stats` from the command line to the terminal."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime

import pytest

from spectra.cli.stats import with_limit
from spectra.model.facets import Count, Facet, FacetValue, FeedInUse, Overview, Total
from spectra.model.records import SearchPage
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem

NOW = datetime.now(UTC)
COUNTRIES = Facet((FacetValue("FR", 600, "France"), FacetValue("US", 300, "United States")), 50, 50, exact=True)
PORTS = Facet((FacetValue(443, 700), FacetValue(80, 1)), 299, 0, exact=False)
PAGE = SearchPage((), total=Total(1000, exact=True), facets={"country": COUNTRIES, "port": PORTS})
STATS = Overview(400, 380, 1000, 77, 5, 12, 9, 30, NOW, NOW, (FeedInUse("cities", "geo", "2026-01-01", NOW),))


def test_a_count_is_a_number(run: Run, server: StandIn) -> None:
    """Alone on standard output, for scripts; what it means is said beside it."""
    server.say("GET", "/v0/count", Count(1234, 56, exact=True, hosts_exact=False))
    result = run("count", "port:22", "-service:ssh")
    assert (result.code, result.out) == (0, "1234\n")
    assert "1,234 endpoints on about 56 hosts" in result.err
    assert server.requests[0].params == {"q": "port:22 -service:ssh"}


def test_a_count_as_json(run: Run, server: StandIn) -> None:
    """With what is exact."""
    server.say("GET", "/v0/count", Count(1, 1, exact=False, hosts_exact=False))
    result = run("count", "port:22", "--exact", "--json")
    assert json.loads(result.out) == {"count": 1, "hosts": 1, "exact": False, "hosts_exact": False}
    assert server.requests[0].params["exact"] == "true"


def test_a_mistake_is_pointed_at(run: Run, server: StandIn) -> None:
    """Below the query, where it stands."""
    server.say("GET", "/v0/count", problem(400, "there is no field", reason="query", field="q", column=1))
    result = run("count", "prot:22")
    assert result.code == 2
    assert "  prot:22\n  ^" in result.err


def test_bars_for_people(run: Run, server: StandIn) -> None:
    """A section for each facet, the longest bar for the most common value, and what is left out or estimated."""
    server.say("GET", "/v0/search", PAGE)
    result = run("stats", "service:http", "--facets", "country,port:2")
    assert result.code == 0
    assert server.requests[0].params == {"q": "service:http", "facets": "country,port:2", "limit": "0"}
    text = result.out
    assert "COUNTRY" in text
    assert "PORT  estimated" in text
    france = next(line for line in result.lines if "France" in line)
    assert france.split() == ["FR", "France", "600", "60.0%", "█" * 24]
    assert next(line for line in result.lines if line.startswith(" 80 ")).split()[1:] == ["1", "0.1%", "▏"]
    assert "50 in other values, 50 without" in text
    assert result.lines[-1].strip() == "1,000 open endpoints"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_bars_fit_the_terminal(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """However long a value is."""
    monkeypatch.setenv("COLUMNS", str(width))
    long = Facet((FacetValue("x" * 300, 5, "y" * 50), FacetValue("日本語" * 40, 3)), 0, 0, exact=True)
    server.say("GET", "/v0/search", SearchPage((), total=Total(8, exact=True), facets={"title": long}))
    result = run("stats", "port:80", "--facets", "title")
    from rich.cells import cell_len

    assert max(cell_len(line) for line in result.lines) <= width


def test_the_overview(run: Run, server: StandIn) -> None:
    """Without a question: what there is, and the commonest of it."""
    server.say("GET", "/v0/stats", STATS)
    server.say("GET", "/v0/search", PAGE)
    result = run("stats")
    assert result.code == 0
    assert "400" in result.lines[0]
    assert "380 of them have a known place" in result.out
    assert "cities 2026-01-01" in result.out
    assert "COUNTRY" in result.out
    assert server.asked("/v0/search")[0].params["q"] == ""


def test_the_overview_as_json(run: Run, server: StandIn) -> None:
    """One line, nothing else is asked."""
    server.say("GET", "/v0/stats", STATS)
    result = run("stats", "--json")
    assert json.loads(result.out)["hosts"] == 400
    assert not server.asked("/v0/search")


def test_values_as_json_lines_and_csv(run: Run, server: StandIn) -> None:
    """One for each value, with its share."""
    server.say("GET", "/v0/search", PAGE)
    lines = [json.loads(line) for line in run("stats", "port:1", "--facets", "country,port", "--json").lines]
    assert [(row["facet"], row["value"], row["count"], row["share"]) for row in lines] == [
        ("country", "FR", 600, 0.6), ("country", "US", 300, 0.3), ("port", 443, 700, 0.7), ("port", 80, 1, 0.001)
    ]  # fmt: skip
    rows = list(csv.DictReader(run("stats", "port:1", "--facets", "country,port", "--csv").out.splitlines()))
    assert rows[0] == {
        "facet": "country", "value": "FR", "label": "France", "count": "600", "share": "0.6", "exact": "yes"
    }  # fmt: skip


def test_nothing_matches(run: Run, server: StandIn) -> None:
    """Is said, and is no failure."""
    nothing = SearchPage((), total=Total(0, exact=True), facets={"country": Facet((), 0, 0, exact=True)})
    server.say("GET", "/v0/search", nothing)
    result = run("stats", "port:1", "--exact")
    assert result.code == 0
    assert "0 open endpoints" in result.out
    assert server.requests[0].params["exact"] == "true"
    assert "Nothing matches" in run("stats", "port:1", "--csv").err


def test_a_limit_is_for_facets_without_a_number() -> None:
    """Histograms and what has a number keep theirs."""
    assert with_limit("country,port:5, last_seen,product", 3) == "country:3,port:5,last_seen,product:3"
    assert with_limit("country", 0) == "country"
