"""Following a job to its end, whatever happens in between."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from spectra.cli import watching
from spectra.cli.local import Machine
from spectra.cli.problems import ApiError, ProblemBody, Unreachable
from spectra.cli.watching import passing, versions
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem
from tests.cli.test_terminal import CALL, in_terminal, interrupted
from tests.cli.worksamples import JOB, job, over, target
from tests.support.waiting import eventually

PATH = f"/v0/jobs/{JOB}"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at once."""
    monkeypatch.setattr(watching, "EVERY_S", 0.01)


def going(server: StandIn, *jobs: Any) -> None:
    """What the server says of the job, one after the other; the first one also before it is followed."""
    server.say("GET", PATH, jobs[0], *jobs)
    server.say("GET", f"{PATH}/targets", {"targets": [target()]})


def test_a_job_is_followed_to_its_end(run: Run, server: StandIn) -> None:
    """What became of it is told once it has ended, and where what it found is."""
    going(server, job(), job(counts={"waiting": 0, "leased": 1, "done": 3}), over())
    result = run("jobs", "watch", JOB)
    assert result.code == 0
    assert result.lines == [f"{JOB}: 4 done; 12 open endpoints, 2 findings"]
    assert "spectra search scan:scan-20260301-120000-ab12" in result.err
    assert server.asked(f"{PATH}/targets")[0].params["state"] == "leased"


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (over() | {"counts": {"done": 3, "review": 1}}, f"spectra jobs retry {JOB}"),
        (job(state="cancelled", counts={"done": 1, "cancelled": 3}), "spectra search scan:"),
        (job(state="cancelled", counts={"cancelled": 4}), ""),
    ],
)
def test_what_did_not_work_is_the_exit_code(run: Run, server: StandIn, ended: dict[str, Any], said: str) -> None:
    """A part in review, or cancelled, is 1; and what to do about it is told."""
    going(server, job(), ended)
    result = run("jobs", "watch", JOB)
    assert result.code == 1
    assert said in result.err


def test_results_that_are_being_taken_in_are_waited_for(run: Run, server: StandIn) -> None:
    """Of a cancelled job, too: what was found before is kept."""
    going(
        server,
        job(state="cancelled", counts={"cancelled": 3, "submitted": 1}),
        job(state="cancelled", counts={"cancelled": 3, "done": 1}),
    )
    assert run("jobs", "watch", JOB).lines == [f"{JOB}: 1 done, 3 cancelled; 7 open endpoints, 2 findings"]


def test_each_change_is_a_line_for_programs(run: Run, server: StandIn) -> None:
    """And nothing else is on standard output."""
    going(server, job(), job(), over())
    lines = [json.loads(line) for line in run("jobs", "watch", JOB, "--json").lines]
    assert [line["state"] for line in lines] == ["running", "done"]


def test_what_holds_it_up_is_said_once(run: Run, server: StandIn) -> None:
    """Not with every look."""
    held = job(counts={"waiting": 4}, waits_for="all work is paused by bob")
    going(server, held, held, over())
    assert run("jobs", "watch", JOB).err.count("Nothing of it moves yet: all work is paused by bob.") == 1


def test_a_server_that_starts_anew_is_waited_for(run: Run, server: StandIn) -> None:
    """Said once for all the time it is away; what is wrong for good ends the watching."""
    going(server, job(), problem(503, "starting", reason="busy"), problem(503, "starting", reason="busy"), over())
    result = run("jobs", "watch", JOB)
    assert result.code == 0
    assert result.err.count("starting: going on") == 1
    going(server, job(), problem(401, "this needs a token", reason="unauthenticated"))
    assert run("jobs", "watch", JOB).code == 1


def test_what_passes() -> None:
    """A server that is away, or in trouble; nothing else."""
    assert "going on" in passing(Unreachable("no answer"))
    assert "going on" in passing(ApiError(500, ProblemBody(detail="oh")))
    with pytest.raises(ApiError):
        passing(ApiError(404, ProblemBody(detail="none")))


def test_no_server_at_all_is_no_job_to_follow(run: Run, data_dir: object) -> None:
    """Where nobody ever answered there is nothing to wait for."""
    assert run("--server", "http://127.0.0.1:1", "jobs", "watch", JOB).code == 3


def test_only_what_is_being_scanned_is_asked_for(server: StandIn) -> None:
    """Targets are looked at for the bar alone, and only where some are at work."""
    server.say("GET", PATH, job(counts={"waiting": 4}), over())
    with Machine().client() as client:
        seen = list(versions(client, JOB, lambda: None, lambda _: None))
    assert [len(running) for _, running in seen] == [0, 0]
    assert not server.asked(f"{PATH}/targets")


def test_ctrl_c_ends_the_watching_and_not_the_job(server: StandIn) -> None:
    """130, with how to go on watching and how to end the job; and nothing was cancelled."""
    going(server, job())
    with subprocess.Popen([*CALL, "jobs", "watch", JOB], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        eventually(lambda: len(server.asked(PATH)) > 1)
        assert interrupted(process) == 130
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert f"spectra jobs watch {JOB}" in said
    assert f"spectra jobs cancel {JOB}" in said
    assert "Traceback" not in said
    assert {request.method for request in server.requests} == {"GET"}


def test_a_bar_on_a_terminal(server: StandIn) -> None:
    """How many targets have ended, on how many machines, and what is open there."""
    going(server, job(), over())
    code, shown, _ = in_terminal("jobs", "watch", JOB)
    assert code == 0
    for words in ("scanning", "1 of 4 targets on 1 machine, 7 endpoints", "4 done; 12 open endpoints"):
        assert words in shown, shown
