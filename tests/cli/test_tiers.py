"""`spectra account`, `leaderboard` and `accounts tier`: what is asked of the server, and how a standing is told."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from spectra.model.records import HostRecord
from spectra.model.tiers import Leaderboard, Ranked, Standing
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem

UNTIL = datetime(2099, 11, 1, tzinfo=UTC)
STANDING = Standing(
    account="alice",
    role="contributor",
    tier="free",
    why="not_earned",
    until=None,
    today=20,
    window=120,
    total=1500,
    observations=7,
    threshold=1000,
    window_days=30,
    daily_cap=500,
)
PRO = msgspec.structs.replace(STANDING, tier="pro", why="granted", until=UNTIL, daily_cap=0, listed=False)


def body(server: StandIn) -> Any:
    """The JSON of the last request."""
    return msgspec.json.decode(server.requests[-1].body)


def test_where_one_stands(run: Run, server: StandIn) -> None:
    """What is counted, what is missing and how to get it."""
    server.say("GET", "/v0/account", STANDING)
    result = run("account")
    assert result.code == 0
    assert result.lines == [
        "account:     alice (contributor)",
        "tier:        Free: its contributions do not suffice yet",
        "today:       20 fresh endpoints",
        "window:      120 of 1,000 in 30 days, at most 500 a day",
        "ever:        1,500 by 7 observations",
    ]
    assert "880 more make it Pro" in result.err
    assert msgspec.json.decode(run("account", "--json").out, type=Standing) == STANDING


def test_who_is_pro_is_told_until_when(run: Run, server: StandIn) -> None:
    """And that the name is not listed; nothing is missing then."""
    server.say("GET", "/v0/account", PRO)
    result = run("account")
    assert "tier:        Pro: an admin made it so" in result.lines
    assert "until:       2099-11-01 00:00" in result.lines
    assert "leaderboard: not listed" in result.lines
    assert "more make it Pro" not in result.err


@pytest.mark.parametrize(("word", "listed"), [("--unlist", False), ("--list", True)])
def test_being_listed(run: Run, server: StandIn, word: str, listed: bool) -> None:
    """One's own wish; both at once is none."""
    server.say("PUT", "/v0/account", STANDING)
    assert run("account", word).code == 0
    assert body(server) == {"listed": listed}
    assert run("account", "--unlist", "--list").code == 2


def test_giving_a_tier(run: Run, server: StandIn) -> None:
    """Until a time or for ever; what is no tier or no time ahead is told here, and a name reaches no other route."""
    server.say("PUT", "/v0/accounts/alice/tier", PRO)
    assert json.loads(run("accounts", "tier", "alice", "pro", "--until", "2099-11-01", "--json").out)["tier"] == "pro"
    assert body(server) == {"tier": "pro", "until": "2099-11-01T00:00:00Z"}
    assert run("accounts", "tier", "alice", "auto").code == 0
    assert body(server) == {"tier": "auto"}
    asked = len(server.requests)
    assert run("accounts", "tier", "alice", "gold").code == 2
    assert run("accounts", "tier", "alice", "pro", "--until", "2020-01-01").code == 2
    assert run("accounts", "tier", "..", "pro").code == 2
    assert len(server.requests) == asked


def test_the_leaderboard(run: Run, server: StandIn) -> None:
    """Over pages, as a table or lines; of the window or since ever."""
    since = date(2026, 1, 1)
    first = Leaderboard((Ranked(1, "alice", 1200, 3),), since, "next")
    server.say("GET", "/v0/leaderboard", first, Leaderboard((Ranked(2, "bob", 7, 1),), since))
    result = run("leaderboard", "--all")
    assert [line.split() for line in result.lines[1:]] == [["1", "alice", "1200", "3"], ["2", "bob", "7", "1"]]
    assert [r.params.get("cursor", "") for r in server.asked("/v0/leaderboard")] == ["", "next"]
    assert server.requests[-1].params["span"] == "window"
    server.say("GET", "/v0/leaderboard", first)
    assert json.loads(run("leaderboard", "--ever", "--limit", "1", "--json").out)["account"] == "alice"
    assert (server.requests[-1].params["span"], server.requests[-1].params["limit"]) == ("all", "1")
    server.say("GET", "/v0/leaderboard", Leaderboard((), since))
    assert "Nobody has contributed yet." in run("leaderboard").err


def test_what_belongs_to_pro_says_how_to_get_it(run: Run, server: StandIn) -> None:
    """A 402 ends with code 1; the words of the server are shown."""
    server.say("GET", "/v0/search", problem(402, "This belongs to Pro.", reason="pro_required", hint="Contribute."))
    result = run("search", "port:22")
    assert (result.code, result.out) == (1, "")
    assert "This belongs to Pro." in result.err
    assert "Contribute." in result.err


def test_a_host_tells_what_it_leaves_out(run: Run, server: StandIn) -> None:
    """On the screen; in JSON it is a field."""
    record = HostRecord("192.0.2.1", UNTIL, UNTIL, "up", findings_hidden=True)
    server.say("GET", "/v0/host/192.0.2.1", record)
    assert "spectra account" in run("host", "192.0.2.1").err
    assert json.loads(run("host", "192.0.2.1", "--json").out)["findings_hidden"]
    server.say("GET", "/v0/host/192.0.2.1", msgspec.structs.replace(record, findings_hidden=False))
    assert "spectra account" not in run("host", "192.0.2.1").err
