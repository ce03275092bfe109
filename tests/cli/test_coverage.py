"""`spectra coverage`: what is asked, and bars that fit."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.standin import RECEIVED, StandIn


def answer(**fields: Any) -> dict[str, Any]:
    """A coverage of 100 endpoints."""
    counts = (50, 25, 0, 0, 15, 10, 0, 0)
    names = ("1h", "6h", "24h", "3d", "7d", "30d", "90d", "older")
    return {
        "at": RECEIVED.isoformat(),
        "endpoints": 100,
        "exact": True,
        "fresh": 75,
        "stale": 25,
        "oldest": (RECEIVED - timedelta(days=12)).isoformat(),
        "median_age_s": 3600,
        "ages": [{"within": name, "endpoints": count} for name, count in zip(names, counts, strict=True)],
        "services": [
            {"service": "http", "fresh": 60, "stale": 20, "lifetime_s": 21600},
            {"service": "", "fresh": 15, "stale": 5, "lifetime_s": 86400},
        ],
        "gaps": None,
        **fields,
    }


def test_options_and_words_select(run: Run, server: StandIn) -> None:
    """As for a plan; empty options are not asked for."""
    server.say("GET", "/v0/coverage", answer())
    run("coverage", "service", "http", "https", "--city", "Tokyo", "--asn", "3215")
    (request,) = server.asked("/v0/coverage")
    assert request.params == {"q": "service:http,https", "city": "Tokyo", "asn": "3215"}
    run("coverage", "port:22", "-service:ssh")
    assert server.asked("/v0/coverage")[1].params == {"q": "port:22 -service:ssh"}


@pytest.mark.parametrize("columns", ["50", "80", "200"])
def test_bars(run: Run, server: StandIn, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest is the longest, half of it is half as long, and little is not nothing."""
    monkeypatch.setenv("COLUMNS", columns)
    server.say("GET", "/v0/coverage", answer())
    result = run("coverage")
    assert "100 open endpoints, 75 fresh, 25 stale" in result.lines[0]
    assert "half were seen within 1 h" in result.lines[1]
    bars = [line.count("█") for line in result.lines[4:12]]
    assert bars[0] == max(bars) <= 40
    assert abs(bars[1] - bars[0] / 2) <= 1
    assert (bars[2], bars[7]) == (0, 0)
    assert result.lines[4].endswith("50 %")
    assert all(len(line) <= 200 for line in result.lines)
    assert "(unknown)" in result.out


def test_gaps(run: Run, server: StandIn) -> None:
    """The first blocks of each kind, how many more there are, and whether that is all."""
    never = [f"10.{n}.0.0/16" for n in range(30)]
    gaps = {"networks": 2, "exact": False, "never_seen": never, "never_seen_blocks": 300}
    server.say("GET", "/v0/coverage", answer(gaps={**gaps, "silent": ["192.0.2.0/24"], "silent_blocks": 1}))
    result = run("coverage", "asn", "3215")
    assert "GAPS in 2 networks (not all of them were looked through)" in result.out
    assert "300 blocks never seen" in result.out
    assert "and 280 more" in result.out
    assert "1 block silent: probed, no answer" in result.out
    assert "192.0.2.0/24" in result.out


def test_nothing_is_selected(run: Run, server: StandIn) -> None:
    """No bars of nothing."""
    empty = answer(endpoints=0, fresh=0, stale=0, oldest=None, median_age_s=None, services=[])
    server.say("GET", "/v0/coverage", empty)
    assert run("coverage", "port:1").lines == [" 0 open endpoints, 0 fresh, 0 stale"]


def test_an_estimate_and_json(run: Run, server: StandIn) -> None:
    """What was not counted is about right; JSON is the whole answer on one line."""
    server.say("GET", "/v0/coverage", answer(exact=False))
    assert run("coverage").lines[0].startswith(" about 100 open endpoints")
    result = run("coverage", "--json")
    assert json.loads(result.out)["ages"][0] == {"within": "1h", "endpoints": 50}
