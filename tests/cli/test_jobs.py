"""`spectra jobs`: what is asked of the server, and how jobs are shown and steered."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem
from tests.cli.worksamples import JOB, OTHER, attempt, failed, job, over, status, target, worker

PATH = f"/v0/jobs/{JOB}"


def body(server: StandIn, path: str) -> Any:
    """What was sent to `path`."""
    (request,) = server.asked(path)
    return json.loads(request.body) if request.body else None


def test_jobs_are_listed_where_no_command_is_named(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line each, within a hundred columns: how far each is, and what it is."""
    monkeypatch.setenv("COLUMNS", "100")
    review = over() | {"counts": {"done": 3, "review": 1}}
    server.say("GET", "/v0/jobs", {"jobs": [job(), review | {"job": OTHER}]})
    for words in (("jobs",), ("jobs", "list"), ("jobs", "--limit", "5")):
        head, first, second = run(*words).lines
        assert max(map(len, (head, first, second))) <= 100
        for word in ("job-1f2e3d4c", "running", "1/4", "198.51.100.0/22", "web", "min ago"):
            assert word in first
        assert "review" in second  # all has ended, and a person has to look
        assert "4/4" in second
    assert [request.params["limit"] for request in server.asked("/v0/jobs")] == ["50", "50", "5"]


def test_lists_for_programs(run: Run, server: StandIn) -> None:
    """JSON has all of a job, CSV its values under the names of `--fields`."""
    server.say("GET", "/v0/jobs", {"jobs": [job()]})
    assert json.loads(run("jobs", "--json").out)["permission"]["reason"] == "contract 17"
    (row,) = csv.DictReader(io.StringIO(run("jobs", "--csv").out))
    assert (row["job"], row["state"], row["waiting"], row["leased"], row["scan_id"]) == (
        JOB,
        "running",
        "2",
        "1",
        "scan-20260301-120000-ab12",
    )


def test_what_is_asked_for(run: Run, server: StandIn) -> None:
    """By state and account; what there is not is told before the server is asked."""
    server.say("GET", "/v0/jobs", {"jobs": []})
    result = run("jobs", "--state", "paused", "--by", "bob")
    assert "There is no such job" in result.err
    assert server.requests[0].params == {"state": "paused", "account": "bob", "limit": "50"}
    assert run("jobs", "--state", "late").code == 2
    assert len(server.requests) == 1
    assert "spectra scan TARGET --remote" in run("jobs").err


def test_a_job_is_shown_with_what_is_at_work(run: Run, server: StandIn) -> None:
    """What it is, who may, how far it is, and the targets somebody may want to look at."""
    server.say("GET", PATH, job(counts={"leased": 1, "review": 1}, left_out=["203.0.113.9 is on the list"]))
    server.say("GET", f"{PATH}/targets", {"targets": [target()]}, {"targets": [failed()]})
    shown = run("jobs", "show", JOB)
    for words in (
        "198.51.100.0/22 (1,024 addresses)",
        "preset web, ports 80,443",
        "contract 17 (alice)",
        "1 being scanned, 1 in review",
        "203.0.113.9 is on the list",
        "4711",
        "50%",
        "no route to host",
    ):
        assert words in shown.out
    assert [request.params["state"] for request in server.asked(f"{PATH}/targets")] == ["leased", "review"]
    assert json.loads(run("jobs", "show", JOB, "--json").out)["job"] == JOB


def test_ids_may_be_short(run: Run, server: StandIn) -> None:
    """As tables have them, or their digits alone; what fits none or several is told."""
    server.say("GET", "/v0/jobs", {"jobs": [job(), job(job=OTHER)]})
    server.say("GET", PATH, over())
    for given in ("job-1f2e3d4c", "1f2e3d4c"):
        assert JOB in run("jobs", "show", given).out
    several = run("jobs", "show", "1f2e")
    assert several.code == 2
    assert "2 jobs begin with 1f2e" in several.err
    assert run("jobs", "show", "ffff").code == 4
    assert run("jobs", "show", "1f2").code == 2
    assert run("jobs", "show", "../nodes").code == 4


def test_targets_are_listed(run: Run, server: StandIn) -> None:
    """Of a job, in one state; and those of all jobs that a person has to look at."""
    server.say("GET", f"{PATH}/targets", {"targets": [target(), failed()]})
    lines = run("jobs", "targets", JOB, "--state", "review").lines
    assert "no route to host" in lines[2]
    assert server.requests[-1].params["state"] == "review"
    assert run("jobs", "targets", JOB, "--state", "lost").code == 2
    server.say("GET", "/v0/review", {"targets": [failed()]}, {"targets": []})
    result = run("jobs", "review")
    assert "job-1f2e3d4c" in result.out
    assert "spectra jobs target TARGET" in result.err
    assert "Nothing is in review" in run("jobs", "review").err


def test_a_target_is_shown_with_every_attempt(run: Run, server: StandIn) -> None:
    """And why each ended as it did."""
    server.say("GET", "/v0/targets/4712", failed(history=[attempt(), attempt(attempt=2, end="expired", reason="")]))
    shown = run("jobs", "target", "4712").out
    for words in (
        "target 4712 of job-1f2e",
        "attempt 1  failed",
        "tool_failed: nmap: no route to host",
        "attempt 2  e",
    ):
        assert words in shown
    assert json.loads(run("jobs", "target", "4712", "--json").out)["history"][0]["node"] == "attic"
    assert run("jobs", "target", "0").code == 2


def test_jobs_are_steered(run: Run, server: StandIn) -> None:
    """Each command is a request, and is answered with how the job stands."""
    for verb in ("cancel", "pause", "resume", "priority"):
        server.say("POST", f"{PATH}/{verb}", job(state="paused", priority=3))
    assert f"{JOB} paused, priority 3: 1 done" in run("jobs", "cancel", JOB, "--reason", "wrong network").out
    assert body(server, f"{PATH}/cancel") == {"reason": "wrong network"}
    run("jobs", "pause", JOB)
    run("jobs", "resume", JOB)
    assert body(server, f"{PATH}/pause") is None
    assert body(server, f"{PATH}/resume") is None
    assert json.loads(run("jobs", "priority", JOB, "3", "--json").out)["priority"] == 3
    assert body(server, f"{PATH}/priority") == {"priority": 3}
    assert run("jobs", "priority", JOB, "101").code == 2


def test_targets_are_tried_again(run: Run, server: StandIn) -> None:
    """All that failed, or some."""
    server.say("POST", f"{PATH}/retry", {"retried": 2, "job": job()}, {"retried": 0, "job": job()})
    assert run("jobs", "retry", JOB, "4711", "4712").lines == [f"{JOB}: 2 targets to be tried again"]
    assert body(server, f"{PATH}/retry") == {"targets": [4711, 4712]}
    assert "None of them failed" in run("jobs", "retry", JOB).err


def test_all_work_is_paused(run: Run, server: StandIn) -> None:
    """By name of all, not by leaving out which."""
    paused = status(worker(), paused=True, paused_by="alice", paused_reason="the move")
    server.say("POST", "/v0/work/pause", paused)
    server.say("POST", "/v0/work/resume", status(worker(), holds=["settling"]))
    result = run("jobs", "pause", "--all", "--reason", "the move")
    assert result.lines[0] == "paused: 1 being scanned, 2 waiting"
    assert "paused by alice: the move" in result.err
    assert body(server, "/v0/work/pause") == {"reason": "the move"}
    assert run("jobs", "resume", "--all").lines[0].startswith("handed out")
    for words in (("pause",), ("pause", JOB, "--all"), ("resume",)):
        assert run("jobs", *words).code == 2


def test_how_it_stands_with_work(run: Run, server: StandIn) -> None:
    """Who does it, what holds it up, and how to get a machine where there is none."""
    server.say("GET", "/v0/work", status(worker(), worker("barn", draining=True), holds=["database"]), status())
    result = run("jobs", "status")
    assert result.lines[0].startswith("held up: ")
    assert "attic" in result.lines[2]
    assert "drained" in result.lines[3]
    assert "the database is away" in result.err
    assert "spectra node token" not in result.err
    assert "spectra node token" in run("jobs", "status").err
    assert json.loads(run("jobs", "status", "--json").out)["counts"]["waiting"] == 2


def test_a_server_that_hands_nothing_out(run: Run, server: StandIn) -> None:
    """Says so, and what to do."""
    refused = problem(409, "this node hands out no scans", reason="work_off", hint="Set work.enabled.")
    server.say("GET", "/v0/work", refused)
    result = run("jobs", "status")
    assert result.code == 1
    assert "Set work.enabled." in result.err


def test_words_of_others_do_not_drive_the_terminal(run: Run, server: StandIn) -> None:
    """What machines and people wrote is shown, not obeyed."""
    evil = "\x1b]0;owned\x07"
    server.say("GET", PATH, job(what=evil, reason=evil, left_out=[evil]))
    server.say("GET", f"{PATH}/targets", {"targets": [target(reason=evil, node=evil)]})
    server.say("GET", "/v0/targets/4711", target(history=[attempt(message=evil, note=evil, node=evil)]))
    server.say("GET", "/v0/jobs", {"jobs": [job(what=evil)]})
    for words in (("show", JOB), ("target", "4711"), ("targets", JOB), ("list",)):
        assert "\x1b" not in run("jobs", *words).out
