"""The root: help, exit codes, speed of start, pipes and completion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spectra import __version__
from spectra.cli.problems import ApiError, Code, ProblemBody, Unreachable, describe, exit_code
from spectra.errors import BadRequest, Corrupt, NotFound, SetupError, SpectraError, Unavailable
from spectra.model.records import SearchPage
from tests.cli.conftest import Run
from tests.cli.standin import Answer, StandIn
from tests.cli.test_search import match

HEAVY = (
    "asyncio",
    "httpx",
    "pydantic",
    "msgspec",
    "cryptography",
    "rich.markdown",
    "pygments",
    "fastapi",
    "psycopg",
    "lxml",
    "yaml",
)


def test_version(run: Run) -> None:
    """`--version` prints it and nothing else."""
    assert run("--version").out == f"spectra {__version__}\n"


@pytest.mark.parametrize("words", [(), ("--help",), ("keys",), ("search", "--help"), ("scan", "-h")])
def test_help_teaches(run: Run, words: tuple[str, ...]) -> None:
    """Every page has panels; commands show whole examples, the root its exit codes."""
    result = run(*words)
    assert result.code == 0
    assert "╭─" in result.out
    assert max(map(len, result.lines)) <= 100
    if not words or words == ("--help",):
        assert "3 nothing answers" in result.out
        assert "$ spectra up --detach" in result.out
    elif words != ("keys",):
        assert f"$ spectra {words[0]} " in result.out


def test_the_root_shows_every_command_whatever_follows(run: Run) -> None:
    """Its help and its suggestions know them all, where only the one that is called is made."""
    for words in (("--help", "search"), ("--server", "http://127.0.0.1:1", "-h")):
        assert {"search", "accounts", "provenance"} <= set(run(*words).out.split())
    assert "search" in run("serch").err
    assert "tokens" in run("--data-dir", "/nowhere", "node", "--help").out
    assert "No such command" in run("node", "search").err


def test_help_starts_light() -> None:
    """Help and completion import nothing that a command needs; that is what keeps them fast."""
    code = f"import sys, spectra.cli.main as m; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    code = f"import sys; sys.argv = ['spectra', '--help']; import atexit; atexit.register(lambda: print([n for n in {HEAVY!r} if n in sys.modules])); from spectra.cli.main import main; main()"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [("bogus",), ("search",), ("search", "x", "--limit", "many"), ("keys", "bogus")])
def test_what_is_not_understood_exits_with_2(run: Run, words: tuple[str, ...]) -> None:
    """Unknown commands, missing arguments and wrong values are usage errors."""
    result = run(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SpectraError("x"), Code.FAILURE),
        (BadRequest("x"), Code.USAGE),
        (NotFound("x"), Code.NOT_FOUND),
        (Unavailable("x"), Code.UNREACHABLE),
        (Unreachable("x"), Code.UNREACHABLE),
        (SetupError("x"), Code.FAILURE),
        (Corrupt("x"), Code.FAILURE),
        (ApiError(400, ProblemBody()), Code.USAGE),
        (ApiError(401, ProblemBody()), Code.FAILURE),
        (ApiError(404, ProblemBody()), Code.NOT_FOUND),
        (ApiError(503, ProblemBody()), Code.UNREACHABLE),
        (ApiError(500, ProblemBody()), Code.FAILURE),
    ],
)
def test_exit_codes(error: SpectraError, code: Code) -> None:
    """The documented table from error to exit code."""
    assert exit_code(error) == code


def test_errors_are_safe_to_print() -> None:
    """What a server says cannot drive the terminal, and its request id is passed on."""
    body = ProblemBody(detail="bad\x1b[2J", hint="do\u202ethis", field="q\n", line=3, request_id="r1")
    told = describe(ApiError(500, body))
    assert told == [
        "spectra: bad\\x1b[2J (line 3, field q)",
        "  do\\u202ethis",
        "  request r1; the server's log has the rest.",
    ]


def environment(data_dir: Path) -> dict[str, str]:
    """The environment of this test for a child."""
    return {**os.environ, "SPECTRA_DATA_DIR": str(data_dir), "COLUMNS": "100"}


def test_a_reader_that_goes_away_is_no_error(server: StandIn, data_dir: Path) -> None:
    """`spectra search x | head -1` ends quietly."""
    server.say("GET", "/v0/search", SearchPage(tuple(match(n % 250) for n in range(4000))))
    call = [sys.executable, "-m", "spectra", "search", "x", "--all", "--json"]
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(data_dir), text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("{")
        process.stdout.close()
        err = process.stderr.read()
        process.wait(30)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_a_terminal_without_unicode_gets_no_traceback(server: StandIn, data_dir: Path) -> None:
    """Characters that standard output cannot show become question marks."""
    server.say("GET", "/v0/search", SearchPage((match(1, title="漢字 ✓"),)))
    call = [sys.executable, "-m", "spectra", "search", "x"]
    env = {**environment(data_dir), "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(call, capture_output=True, env=env, check=True)
    assert b"?? ?" in done.stdout


def test_completion() -> None:
    """The shell is told commands and options."""
    env = {**os.environ, "_SPECTRA_COMPLETE": "complete_bash", "COMP_WORDS": "spectra sc", "COMP_CWORD": "1"}
    call = [sys.executable, "-c", "from spectra.cli.main import main; main()"]
    done = subprocess.run(call, capture_output=True, text=True, env=env, check=False)
    assert done.stdout.split() == ["scan", "schedule", "scope"]


def test_an_interrupt_exits_with_130(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in any command."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spectra.cli.search.ask", interrupted)
    assert run("search", "x").code == 130


def test_colour_is_for_terminals(run: Run, server: StandIn) -> None:
    """Piped output carries no escapes at all."""
    server.say("GET", "/v0/search", SearchPage((match(1),)))
    assert "\x1b" not in run("search", "x").out


def test_an_answer_of_another_version(run: Run, server: StandIn) -> None:
    """A server that speaks something else is told apart from a crash."""
    server.say("GET", "/v0/search", Answer(200, (b'{"matches": 3}',)))
    result = run("search", "x")
    assert result.code == 1
    assert "same version" in result.err
