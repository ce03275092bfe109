"""`spectra jobs logs`, `files` and `fetch`: what was kept of attempts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.standin import Answer, StandIn
from tests.cli.test_terminal import in_terminal
from tests.cli.worksamples import JOB, OTHER, attempt, failed, file, target

TARGETS = f"/v0/jobs/{JOB}/targets"
LOG = b"12:00 nmap began\n12:01 \x1b[31mno route to host\n"


def logged(server: StandIn) -> None:
    """A job with one target that failed, whose attempt left a log and an output."""
    server.say("GET", TARGETS, {"targets": [failed()]})
    server.say("GET", "/v0/targets/4712", failed(history=[attempt()]))
    server.say("GET", "/v0/artefacts", {"artefacts": [file(813, kind="raw", name="nmap.xml"), file(812, LOG)]})
    server.say("GET", "/v0/artefacts/812/content", Answer(200, (LOG[:7], LOG[7:])))


def test_logs_are_printed(run: Run, server: StandIn) -> None:
    """Target by target, attempt by attempt, and nothing in them acts on the terminal."""
    logged(server)
    result = run("jobs", "logs", JOB)
    assert result.code == 0
    assert result.lines[0] == "target 4712: 198.51.100.0/24, review"
    assert "attempt 1  failed" in result.out
    assert "   | 12:00 nmap began" in result.lines
    assert "\x1b" not in result.out
    assert server.asked("/v0/artefacts")[0].params["target"] == "4712"


def test_logs_for_programs(run: Run, server: StandIn) -> None:
    """A line each attempt, with the text whole."""
    logged(server)
    (line,) = map(json.loads, run("jobs", "logs", JOB, "--json").lines)
    assert (line["target"], line["attempt"]["end"], line["log"]) == (4712, "failed", LOG.decode())


def test_the_log_of_one_target(run: Run, server: StandIn) -> None:
    """If it is one of the job's."""
    logged(server)
    assert "target 4712" in run("jobs", "logs", JOB, "--target", "4712").out
    assert not server.asked(TARGETS)
    server.say("GET", "/v0/targets/4712", failed(job=OTHER))
    assert run("jobs", "logs", JOB, "--target", "4712").code == 2


def test_an_attempt_without_a_log(run: Run, server: StandIn) -> None:
    """Its end is all there is to tell; further targets are said to be there."""
    server.say("GET", TARGETS, {"targets": [target()], "next_cursor": "x"})
    server.say("GET", "/v0/targets/4711", target(history=[attempt(end="", ended=None, reason="", message="")]))
    server.say("GET", "/v0/artefacts", {"artefacts": []})
    result = run("jobs", "logs", JOB, "--limit", "1")
    assert "attempt 1  running" in result.out
    assert "--limit 0 prints all" in result.err


def test_a_log_that_is_too_large_is_named(run: Run, server: StandIn) -> None:
    """It is not read into a terminal."""
    logged(server)
    server.say("GET", "/v0/artefacts", {"artefacts": [file(812, LOG, size=1 << 30)]})
    assert "spectra jobs fetch 812" in run("jobs", "logs", JOB).out
    assert not server.asked("/v0/artefacts/812/content")


def test_files_are_listed(run: Run, server: StandIn) -> None:
    """By what they belong to."""
    server.say("GET", "/v0/artefacts", {"artefacts": [file(812, LOG)]}, {"artefacts": []})
    result = run("jobs", "files", JOB, "--host", "198.51.100.7", "--scan", "weekly", "--target", "4712")
    assert "log.txt" in result.out
    assert "spectra jobs fetch ID" in result.err
    asked = server.requests[0].params
    assert {asked[name] for name in ("job", "host", "scan", "target")} == {JOB, "198.51.100.7", "weekly", "4712"}
    assert "Nothing was kept" in run("jobs", "files").err
    assert set(server.requests[1].params) == {"limit"}
    run("jobs", "files", "--host", "198.51.100.7", "--since", "2026-03-01", "--until", "2026-03-02")
    asked = server.requests[2].params
    assert (asked["since"], asked["until"]) == ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
    assert run("jobs", "files", "--since", "7d").code == 2


def test_a_file_is_fetched(run: Run, server: StandIn, tmp_path: Path) -> None:
    """Byte for byte, and checked."""
    server.say("GET", "/v0/artefacts/812", file(812, LOG))
    server.say("GET", "/v0/artefacts/812/content", Answer(200, (LOG,)))
    result = run("jobs", "fetch", "812", "-o", tmp_path / "log")
    assert result.code == 0, result.err
    assert (tmp_path / "log").read_bytes() == LOG
    assert "log log.txt of target 4712" in result.err


def test_a_file_that_was_changed_is_not_kept(run: Run, server: StandIn, tmp_path: Path) -> None:
    """Nothing is written where its hash is not what the record says."""
    server.say("GET", "/v0/artefacts/812", file(812, LOG))
    server.say("GET", "/v0/artefacts/812/content", Answer(200, (LOG + b"x",)))
    assert run("jobs", "fetch", "812", "-o", tmp_path / "log").code == 1
    assert not (tmp_path / "log").exists()


def test_files_do_not_go_to_a_terminal(server: StandIn) -> None:
    """Raw bytes could drive it; a pipe gets them."""
    server.say("GET", "/v0/artefacts/812", file(812, LOG))
    server.say("GET", "/v0/artefacts/812/content", Answer(200, (LOG,)))
    code, shown, _ = in_terminal("jobs", "fetch", "812")
    assert code == 2
    assert "-o FILE" in shown
    code, _, piped = in_terminal("jobs", "fetch", "812", out_too=False)
    assert (code, piped) == (0, LOG)


@pytest.mark.parametrize("words", [("fetch", "0"), ("fetch", "x"), ("logs",), ("logs", "ff")])
def test_what_is_no_file(run: Run, server: StandIn, words: tuple[str, ...]) -> None:
    """Told before the server is asked."""
    assert run("jobs", *words).code == 2
    assert not server.requests
