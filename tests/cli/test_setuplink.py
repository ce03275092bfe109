"""The set-up link on the command line: shown where a person reads it, made again when asked for."""

from __future__ import annotations

import json

import pytest

from spectra.cli.setuplink import say_setup
from spectra.model.people import SetupLink, SetupState
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
