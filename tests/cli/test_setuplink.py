"""The set-up link on the command line: shown where a person reads it, made again when asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from spectra.cli import node
from spectra.cli.setuplink import say_setup
from spectra.model.people import SetupLink, SetupState
from spectra.settings import Settings
from tests.cli.conftest import Run
from tests.cli.standin import RECEIVED, StandIn, problem


def test_a_link_is_made(run: Run, server: StandIn) -> None:
    """At the server that was asked, by a name that passkeys can be had under, or where browsers reach it."""
    server.say("GET", "/v0/setup", SetupState(True))
    server.say(
        "POST",
        "/v0/auth/setup-link",
        SetupLink("/setup?token=t", RECEIVED),
        SetupLink("/setup?token=u", RECEIVED, "https://s.example.org"),
    )
    made = run("auth", "setup-link")
    assert made.code == 0
    assert made.out.startswith("http://localhost:")
    assert made.out.endswith("/setup?token=t\n")
    assert json.loads(run("auth", "setup-link", "--json").out) == {"url": "https://s.example.org/setup?token=u"}


def test_where_somebody_has_a_password(run: Run, server: StandIn) -> None:
    """It says what to do instead; also where that came about just now."""
    server.say("GET", "/v0/setup", SetupState(False), SetupState(True))
    server.say("POST", "/v0/auth/setup-link", problem(409, "over", reason="setup_over"))
    for _ in range(2):
        assert "spectra accounts add" in run("auth", "setup-link").err


def test_it_is_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """On its own line, to be copied; where there is none nothing is said."""
    say_setup("")
    say_setup("http://localhost:8765/setup?token=t")
    said = capsys.readouterr()
    assert said.out == ""
    assert "http://localhost:8765/setup?token=t" in [line.strip() for line in said.err.splitlines()]


@pytest.mark.parametrize("seen", [True, False])
def test_a_node_that_runs_on_shows_it_to_a_person(
    server: StandIn, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, seen: bool
) -> None:
    """On a terminal; where standard error is a log nothing is asked for, and nothing that lets somebody in is there."""
    server.say("GET", "/v0/setup", SetupState(True))
    server.say("POST", "/v0/auth/setup-link", SetupLink("/setup?token=t", RECEIVED))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: seen)
    node._say_detached("http://127.0.0.1:1", Settings(data_dir=data_dir), "It runs on")
    assert ("/setup?token=t" in capsys.readouterr().err) is seen
    assert bool(server.asked("/v0/auth/setup-link")) is seen
