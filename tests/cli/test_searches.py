"""`spectra searches` from the command line to the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from spectra.model.records import SearchPage
from spectra.model.saved import SavedSearch, SavedSearches
from tests.cli.conftest import Run
from tests.cli.standin import StandIn
from tests.cli.test_search import match

NOW = datetime.now(UTC)
KEPT = SavedSearch("my ssh", "port:22 -net:10.0.0.0/8", "ip", NOW, NOW)


def test_what_is_kept_is_listed(run: Run, server: StandIn) -> None:
    """As a table and as JSON lines; nothing says what to do."""
    server.say("GET", "/v0/searches", SavedSearches((KEPT,)))
    assert "port:22 -net:10.0.0.0/8" in run("searches", "list").lines[1]
    assert json.loads(run("searches", "list", "--json").out)["name"] == "my ssh"
    server.say("GET", "/v0/searches", SavedSearches(()))
    assert "searches save NAME" in run("searches", "list").err


def test_a_search_is_kept(run: Run, server: StandIn) -> None:
    """Its terms as they were typed, those that exclude too."""
    server.say("PUT", "/v0/searches/my%20ssh", KEPT)
    result = run("searches", "save", "my ssh", "port:22", "-net:10.0.0.0/8", "--sort", "ip")
    assert result.code == 0
    assert json.loads(server.requests[-1].body) == {"query": "port:22 -net:10.0.0.0/8", "sort": "ip"}


def test_it_is_run_with_further_terms(run: Run, server: StandIn) -> None:
    """In its own order."""
    server.say("GET", "/v0/searches/my%20ssh", KEPT)
    server.say("GET", "/v0/search", SearchPage((match(1),)))
    assert run("searches", "run", "my ssh", "country:FR", "--json").code == 0
    assert server.requests[-1].params == {"q": f"{KEPT.query} country:FR", "sort": "ip", "limit": "100"}


def test_it_is_forgotten(run: Run, server: StandIn) -> None:
    """And said what it was."""
    server.say("DELETE", "/v0/searches/my%20ssh", KEPT)
    assert KEPT.query in run("searches", "remove", "my ssh").err


@pytest.mark.parametrize("name", ["../accounts", "", "a/b"])
def test_no_name_leads_elsewhere(run: Run, server: StandIn, name: str) -> None:
    """Nothing is asked under a name that is none."""
    assert run("searches", "remove", name).code == 2
    assert not server.requests
