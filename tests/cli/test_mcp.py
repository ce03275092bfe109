"""`spectra mcp` where it cannot begin. What it does where it can is tested with a real node, beside the server's."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem


def test_nothing_listens(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said at once, with the code of a server that is away."""
    monkeypatch.setenv("SPECTRA_TOKEN", "spk_x")
    ended = run("--server", "http://127.0.0.1:9", "mcp")
    assert ended.code == 3
    assert "no answer from http://127.0.0.1:9" in ended.err
    assert not ended.out


def test_the_server_does_not_know_the_token(run: Run, server: StandIn) -> None:
    """Its own words are told, and what to do."""
    server.say("POST", "/mcp", problem(401, "This token is unknown.", reason="unauthenticated", hint="Sign in again."))
    ended = run("mcp")
    assert ended.code == 1
    assert "This token is unknown." in ended.err
    assert "Sign in again." in ended.err


def test_the_server_speaks_no_mcp(run: Run, server: StandIn) -> None:
    """An older one, or another's."""
    server.say("POST", "/mcp", problem(404, "There is no such path.", reason="no_such_path"))
    assert run("mcp").code == 4
