"""Exports over HTTP: whole documents, whatever their format and size."""

from __future__ import annotations

import csv
import json

import pytest
from lxml import etree

from spectra.model.tiers import Policy
from tests.api.node import Node, is_problem
from tests.support import samples
from tests.support.stixcheck import wrong_in

pytestmark = pytest.mark.engine

NET = "net:100.90.3.64/28"


@pytest.fixture(scope="module", autouse=True)
def hosts(node: Node) -> None:
    """Seven hosts with eight endpoints."""
    some = [samples.nmap_host(f"100.90.3.{64 + n}", *([22, 80] if n == 1 else [80])) for n in range(1, 8)]
    node.submitted(samples.nmap(*some))


@pytest.fixture(params=[2000, 3])
def paged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it on one page, or on several."""
    monkeypatch.setattr("spectra.api.exporting.PAGE", request.param)


@pytest.mark.usefixtures("paged")
def test_lines(node: Node) -> None:
    """CSV with a header, JSON lines without: in order of address, as a file that is named."""
    answer = node.get("/v0/export", "read-only", q=NET, format="csv")
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert [(row["ip"], row["port"]) for row in rows][:2] == [("100.90.3.65", "22"), ("100.90.3.65", "80")]
    assert len(rows) == 8
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="spectra-')
    lines = node.get("/v0/export", "read-only", q=NET).text.splitlines()
    assert [json.loads(line)["ip"] for line in lines] == [row["ip"] for row in rows]


@pytest.mark.usefixtures("paged")
def test_documents(node: Node) -> None:
    """nmap's XML, GeoJSON and STIX are whole, with every host once."""
    xml = etree.fromstring(node.get("/v0/export", q=NET, format="nmap-xml").content)
    assert len(xml.findall("host")) == 7
    assert node.get("/v0/export", q=NET, format="geojson").json()["features"] == []
    answer = node.get("/v0/export", q=NET, format="stix")
    assert wrong_in(answer.text) == []
    kinds = [thing["type"] for thing in answer.json()["objects"]]
    assert (kinds.count("infrastructure"), kinds.count("network-traffic")) == (7, 8)
    assert answer.headers["content-type"] == "application/stix+json;version=2.1"


def test_a_limit_and_nothing(node: Node) -> None:
    """Fewer endpoints; nothing that matches is a document all the same."""
    assert len(node.get("/v0/export", q=NET, limit=3).text.splitlines()) == 3
    assert node.get("/v0/export", q="product:nonesuch", format="stix").json()["objects"] == []
    assert len(node.get("/v0/export", q="product:nonesuch", format="csv").text.splitlines()) == 1


def test_what_is_wrong_is_a_problem(node: Node) -> None:
    """Before anything is sent."""
    assert node.get("/v0/export", q="nofield:1").status_code == 400
    assert node.get("/v0/export", format="yaml").status_code == 400
    is_problem(node.get("/v0/export", ""), 401, "unauthenticated")


def test_findings_belong_to_pro(node: Node) -> None:
    """Who is Free gets columns without them, and no answer to questions about them."""
    assert "findings" in node.get("/v0/export", "read-only", q=NET, format="csv").text.splitlines()[0].split(",")
    with node.variant(tiers=Policy(mode="earned", threshold=10)) as strict:
        head = strict.get("/v0/export", "user", q=NET, format="csv").text.splitlines()[0]
        assert "findings" not in head.split(",")
        is_problem(strict.get("/v0/export", "user", q="kev:true"), 402, "pro_required")
