"""`spectra export` from the command line to the file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from lxml import etree

from spectra.model.facts import Place
from spectra.model.records import SearchPage
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem
from tests.cli.test_search import match

PAGES = (SearchPage((match(1), match(2)), "c1"), SearchPage((match(3, place=Place(latitude=1.0, longitude=2.0)),)))


@pytest.fixture
def full(server: StandIn) -> StandIn:
    """A server with three matches on two pages."""
    server.say("GET", "/v0/search", *PAGES)
    return server


def test_all_pages_in_order_of_address(run: Run, full: StandIn) -> None:
    """JSON lines by default; the query goes to the server as it was typed, every page in the same order."""
    result = run("export", "port:22", "-service:http")
    assert [json.loads(line)["ip"] for line in result.lines] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert {(r.params["q"], r.params["sort"]) for r in full.requests} == {("port:22 -service:http", "ip")}


@pytest.mark.parametrize("name", ["a.xml", "a.csv", "a.jsonl", "a.geojson"])
def test_the_ending_decides(run: Run, full: StandIn, tmp_path: Path, name: str) -> None:
    """`-o` says the format, standard output stays empty, and the count is told."""
    path = tmp_path / name
    result = run("export", "-o", path)
    assert (result.code, result.out) == (0, "")
    assert "3 endpoints written to" in result.err
    text = path.read_text()
    if name == "a.xml":
        assert len(etree.fromstring(text.encode()).findall("host/ports/port")) == 3
    elif name == "a.csv":
        assert [row["ip"] for row in csv.DictReader(text.splitlines())] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    elif name == "a.geojson":
        assert len(json.loads(text)["features"]) == 1
        assert "2 hosts left out" in result.err
    else:
        assert len(text.splitlines()) == 3


def test_stix_is_written_by_the_server(run: Run, server: StandIn, tmp_path: Path) -> None:
    """Which alone knows the weaknesses of each endpoint; it comes as it is."""
    server.say("GET", "/v0/export", {"type": "bundle", "objects": []})
    assert json.loads(run("export", "port:22", "-f", "stix").out) == {"type": "bundle", "objects": []}
    assert server.requests[-1].params == {"q": "port:22", "format": "stix", "limit": "0"}
    path = tmp_path / "a.stix"
    assert run("export", "-o", path, "--limit", "9").code == 0
    assert json.loads(path.read_text())["type"] == "bundle"
    assert server.requests[-1].params["limit"] == "9"


def test_fields(run: Run, full: StandIn) -> None:
    """`--fields` chooses columns of CSV and JSON lines; the others have their own."""
    assert run("export", "-f", "csv", "--fields", "ip,latitude").lines[-1] == "192.0.2.3,1.0"
    assert run("export", "-f", "xml", "--fields", "ip").code == 2


def test_a_limit(run: Run, full: StandIn) -> None:
    """A limit ends the export and says so."""
    result = run("export", "--limit", "2")
    assert len(result.lines) == 2
    assert "there are more" in result.err


@pytest.mark.parametrize("words", [("-f", "yaml"), ("-o", "a.bin")])
def test_unknown_formats(run: Run, full: StandIn, words: tuple[str, ...], tmp_path: Path) -> None:
    """Neither a word nor an ending that says nothing is guessed at."""
    result = run("export", *(tmp_path / w if w.endswith(".bin") else w for w in words))
    assert result.code == 2
    assert "nmap-xml, csv, jsonl, geojson, stix" in result.err
    assert not full.requests


def test_nothing_and_half_of_it(run: Run, server: StandIn, tmp_path: Path) -> None:
    """Nothing is a whole document; what breaks off leaves no file."""
    server.say("GET", "/v0/search", SearchPage(()))
    assert json.loads(run("export", "-f", "geojson").out) == {"type": "FeatureCollection", "features": []}
    assert etree.fromstring(run("export", "-f", "nmap-xml").out.encode()).find("runstats/hosts").get("up") == "0"  # pyright: ignore[reportOptionalMemberAccess]
    server.say("GET", "/v0/search", SearchPage((match(1),), "c1"), problem(400, "no such field", field="q", column=1))
    path = tmp_path / "half.xml"
    assert run("export", "prt:1", "-o", path).code == 2
    assert not list(tmp_path.glob("*half*"))
