"""Facts of a report, from the graph."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.ai.patterns import loading
from spectra.ai.reports import collecting
from spectra.ai.reports.collecting import collect
from spectra.ai.reports.facts import decoded, encoded
from spectra.errors import NotFound
from spectra.intel.explain import explain
from spectra.model.summaries import Target
from spectra.store.database import Database
from tests.ai.retrieval.town import CERTIFICATE, IP, NAME, NOW, OTHER, REGRESSION, Town
from tests.store.scribe import host, seen

pytestmark = pytest.mark.engine

PATTERN = loading.load()["full"]


def test_a_host_is_told_whole(database: Database) -> None:
    """Its services, certificate, weaknesses, changes and scans; what rules say; and a context within its bound."""
    town = Town(database)
    found = collect(town.sources, Target("ip", IP), PATTERN, "ssh?", now=NOW, rules=explain)
    tables = found.tables
    assert (tables.figures.hosts, tables.figures.endpoints, tables.figures.exact) == (1, 3, True)
    assert [line.port for line in tables.services] == [22, 443, 8080]
    assert tables.hosts[0].place == "Lyon, France"
    assert tables.hosts[0].findings == tables.figures.findings_total == 2
    assert (tables.findings[0].cve, tables.figures.kev) == (REGRESSION, 1)
    assert tables.certificates[0].sha256 == CERTIFICATE.sha256
    assert {change.kind for change in tables.changes} >= {"new"}
    assert tables.figures.changed["new"] == 3
    assert [name.name for name in tables.names] == [NAME, "vpn.corp.example"]
    assert tables.scans[0].tool == "nmap"
    assert found.told[0].risks
    assert sum(len(item.fragment.text.encode()) for item in found.items) <= PATTERN.context_bytes
    assert [item.ref for item in found.items] == [f"F{number}" for number in range(1, len(found.items) + 1)]
    assert any("A rule says of" in item.fragment.text for item in found.items)
    assert decoded(encoded(found)) == found


def test_names_and_queries(database: Database) -> None:
    """The hosts of a name, those that match; and what kind of scan saw them last."""
    town = Town(database)
    named = collecting.look(town.sources, Target("host", NAME), NOW)
    assert [one.ip for one in named.hosts] == [IP]
    matched = collecting.look(town.sources, Target("query", "port:22"), NOW)
    assert ([one.ip for one in matched.hosts], matched.total, matched.exact) == ([IP, OTHER], 2, True)
    assert "nmap" in collecting.scan_types(town.sources, Target("query", "port:22"), NOW)
    for target in (Target("ip", "192.0.2.99"), Target("host", "no.example"), Target("query", "port:9")):
        with pytest.raises(NotFound):
            collecting.look(town.sources, target, NOW)


def test_what_has_no_room_is_counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts beyond the bound in a note, rows beside their table."""
    town = Town(database)
    town.write([host(f"192.0.2.{n}", NOW - timedelta(days=1), seen(22)) for n in range(20, 30)])
    monkeypatch.setattr(collecting, "MAX_HOSTS", 3)
    monkeypatch.setitem(collecting.MAX_ROWS, "services", 2)
    found = collect(town.sources, Target("query", "port:22"), PATTERN, "", now=NOW, rules=explain)
    assert (len(found.tables.hosts), found.tables.figures.hosts_total) == (3, 12)
    assert (len(found.tables.services), found.tables.more["services"]) == (2, 4)
    assert "It tells of 3 hosts; 12" in " ".join(found.notes)
