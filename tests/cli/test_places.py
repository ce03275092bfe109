"""`spectra place` from the command line to the terminal."""

from __future__ import annotations

import csv
import json

import pytest

from spectra.model.facets import Facet, FacetValue, Total
from spectra.model.geography import Area, AreaPage, AreaRecord
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem

PARIS = AreaRecord("city", "Paris", 12, 30, "country:FR city:Paris", "/v0/city/FR/Paris", "Île-de-France", "FR")
FRANCE = AreaRecord("country", "FR", 40, 90, "country:FR", "/v0/country/FR", "France")
RED = AreaRecord("asn", "64500", 7, 9, "asn:64500", "/v0/asn/64500", "Red Networks")
TOP = {"port": Facet((FacetValue(80, 20), FacetValue(443, 10)), 0, 0, exact=True)}
PAGE = Area(PARIS, {"country": (FRANCE,), "asn": (RED,)}, TOP, Total(30, exact=True))


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("asn", "13335"), "/v0/asn/13335"),
        (("asn", "AS13335"), "/v0/asn/13335"),
        (("country", "FR"), "/v0/country/FR"),
        (("city", "FR", "Paris"), "/v0/city/FR/Paris"),
        (("city", "BR", "São", "Paulo"), "/v0/city/BR/S%C3%A3o%20Paulo"),
        (("city", "DE", "Bad/Ort"), "/v0/city/DE/Bad%2FOrt"),
        (("region", "FR", "Bretagne"), "/v0/region/FR/Bretagne"),
        (("cloud", "aws"), "/v0/cloud/aws"),
        (("cloud", "aws", "eu-west-1"), "/v0/cloud/aws/eu-west-1"),
    ],
)
def test_a_page(run: Run, server: StandIn, words: tuple[str, ...], path: str) -> None:
    """Every kind of place is asked for at its own path, and is a page with relations and bars."""
    server.say("GET", path, PAGE)
    result = run("place", *words)
    assert result.code == 0, result.err
    assert "Paris  Île-de-France, FR" in result.lines[0]
    assert "12 hosts, 30 open endpoints" in result.lines[1]
    assert "spectra search 'country:FR city:Paris'" in result.lines[2]
    assert "COUNTRIES" in result.out
    assert any(line.split()[:3] == ["64500", "Red", "Networks"] for line in result.lines)
    assert "66.7%" in result.out


@pytest.mark.parametrize("width", [40, 80])
def test_a_page_fits_the_terminal(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """No line is wider."""
    monkeypatch.setenv("COLUMNS", str(width))
    server.say("GET", "/v0/asn/1", PAGE)
    assert max(len(line) for line in run("place", "asn", "1").lines) <= width


def test_a_page_as_json_and_csv(run: Run, server: StandIn) -> None:
    """All of it in one line, or the place and its relations as rows."""
    server.say("GET", "/v0/country/FR", PAGE)
    page = json.loads(run("place", "country", "FR", "--json").out)
    assert page["area"]["query"] == "country:FR city:Paris"
    rows = list(csv.DictReader(run("place", "country", "FR", "--csv").out.splitlines()))
    assert [row["kind"] for row in rows] == ["city", "country", "asn"]


@pytest.mark.parametrize(
    ("words", "path", "params"),
    [
        (("asn",), "/v0/asn", {"limit": "50"}),
        (("country", "--limit", "5"), "/v0/country", {"limit": "5"}),
        (("city", "FR"), "/v0/city", {"country": "FR", "limit": "50"}),
        (("region",), "/v0/region", {"limit": "50"}),
        (("cloud", "--all"), "/v0/cloud", {"limit": "1000"}),
    ],
)
def test_a_list(run: Run, server: StandIn, words: tuple[str, ...], path: str, params: dict[str, str]) -> None:
    """Without a name it is the list of that kind."""
    server.say("GET", path, AreaPage((FRANCE, RED)))
    result = run("place", *words)
    assert result.code == 0, result.err
    assert result.lines[0].split() == ["NAME", "LABEL", "HOSTS", "ENDPOINTS", "QUERY"]
    assert "France" in result.lines[1]
    assert server.requests[0].params == params


def test_lists_are_walked(run: Run, server: StandIn) -> None:
    """Page after page, as many as are asked for."""
    server.say("GET", "/v0/asn", AreaPage((RED,), "next"), AreaPage((RED,)))
    lines = run("place", "asn", "--all", "--json").lines
    assert len(lines) == 2
    assert server.requests[1].params["cursor"] == "next"


def test_an_unknown_place(run: Run, server: StandIn) -> None:
    """Is told with its own exit code; what is no number is refused here."""
    server.say("GET", "/v0/city/FR/Atlantis", problem(404, "No host is known in Atlantis.", reason="not_found"))
    result = run("place", "city", "FR", "Atlantis")
    assert result.code == 4
    assert "Atlantis" in result.err
    refused = run("place", "asn", "cloudflare")
    assert refused.code != 0
    assert "not the number" in refused.err


def test_no_places_yet(run: Run, server: StandIn) -> None:
    """An empty list says why."""
    server.say("GET", "/v0/country", AreaPage(()))
    assert "No host has a known place" in run("place", "country").err
