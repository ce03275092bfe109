"""The server's do-not-scan list on the scanning machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spectra.cli.local import Machine
from tests.cli.conftest import Result, Run
from tests.cli.standin import Answer, StandIn, problem

PATH = "/v0/do-not-scan"
AS_OF = (datetime.now(UTC) - timedelta(hours=3)).isoformat()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder of kept lists."""
    return tmp_path / "config" / "spectra" / "do-not-scan"


def scan(run: Run, target: str = "127.0.0.1") -> Result:
    """Scan one port of this machine, if that is allowed."""
    return run(
        "scan", target, "--scanner", "connect", "-p", "1", "--allow", "127.0.0.0/8", "--consent", "test", "--json"
    )


def says(server: StandIn, *networks: str) -> None:
    """Have the server forbid these."""
    server.say("GET", PATH, {"as_of": AS_OF, "networks": networks})


def test_what_the_server_forbids_is_not_scanned(run: Run, server: StandIn) -> None:
    """As if it stood in the list of this machine; asked without a token, for the list is public."""
    says(server, "127.0.0.0/30", "2001:db8::/32")
    result = scan(run)
    assert result.code == 1
    assert "do-not-scan list: the list of http://127.0.0.1" in result.err
    assert server.asked(PATH)[0].token == ""
    assert scan(run, "127.0.0.9").code == 0
    says(server)
    assert scan(run).code == 0


def test_the_last_list_holds_while_nobody_answers(run: Run, server: StandIn, kept: Path) -> None:
    """With its age; a server that never gave one leaves the list of this machine, and says so."""
    server.say("GET", PATH, problem(503, "the database is away", reason="database_away"))
    result = scan(run)
    assert result.code == 0
    assert "only the do-not-scan list of this machine is heeded" in result.err
    says(server, "127.0.0.0/30")
    assert scan(run).code == 1
    server.say("GET", PATH, problem(503, "the database is away", reason="database_away"))
    result = scan(run)
    assert result.code == 1
    assert "its do-not-scan list of 3 h ago is heeded (1 network)" in result.err
    assert len(list(kept.iterdir())) == 1


def test_without_a_server_there_is_nothing_to_ask(run: Run) -> None:
    """And nothing is said about it."""
    result = scan(run)
    assert result.code == 0
    assert "do-not-scan" not in result.err


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, (b'{"as_of": "2026-01-01T00:00:00Z", "networks": ["example.org"]}',)),
        Answer(200, (b"<html>",)),
        Answer(200, (b'{"networks": ["127.0.0.0/30"]}',)),
    ],
)
def test_a_list_that_is_not_understood_is_none(run: Run, server: StandIn, kept: Path, answer: Answer) -> None:
    """It is told of, and does not replace the one that was kept."""
    says(server, "127.0.0.0/30")
    scan(run)
    before = [file.read_bytes() for file in kept.iterdir()]
    server.say("GET", PATH, answer)
    result = scan(run)
    assert result.code == 1
    assert "3 h ago is heeded" in result.err
    assert [file.read_bytes() for file in kept.iterdir()] == before


def test_a_damaged_copy_stops_the_scan(run: Run, server: StandIn, kept: Path) -> None:
    """Nobody knows what it forbade; when the server answers again, it is replaced."""
    says(server, "127.0.0.0/30")
    scan(run)
    (file,) = kept.iterdir()
    file.write_bytes(b'{"url":')
    server.say("GET", PATH, problem(503, "away"))
    result = scan(run, "127.0.0.9")
    assert result.code == 1
    assert str(file) in result.err
    says(server, "127.0.0.0/30")
    assert scan(run, "127.0.0.9").code == 0


def test_a_copy_that_cannot_be_kept_is_told(run: Run, server: StandIn, kept: Path) -> None:
    """The list is heeded all the same."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text("in the way")
    says(server, "127.0.0.0/30")
    result = scan(run)
    assert result.code == 1
    assert "cannot be kept for later" in result.err


def test_show_has_the_kept_list(run: Run, server: StandIn) -> None:
    """In one line, however long it is, with its age and where it is from."""
    says(server, *(f"10.0.{n}.0/24" for n in range(9)))
    scan(run)
    (row,) = [json.loads(line) for line in run("scope", "show", "--json").lines if "server's" in line]
    assert row["targets"] == "10.0.0.0/24, 10.0.1.0/24, 10.0.2.0/24 and 6 more"
    assert row["where"] == Machine().server_url()
    assert "3 h ago" in row["note"]


def test_a_long_list_is_heeded_as_fast(run: Run, server: StandIn) -> None:
    """Twenty thousand networks are one entry of the law."""
    says(server, *(f"10.{n >> 8}.{n & 255}.0/25" for n in range(20_000)), "127.0.0.0/30")
    assert scan(run).code == 1
    assert scan(run, "127.0.0.9").code == 0
