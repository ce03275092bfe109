"""`spectra scan --remote`: what is asked of the server, by whose leave, and how the command ends."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from spectra.cli import watching
from spectra.cli.scanremote import MAX_TARGETS
from tests.cli.conftest import Run
from tests.cli.standin import Answer, StandIn, problem
from tests.cli.test_terminal import CALL, in_terminal, interrupted
from tests.cli.worksamples import JOB, job, over, status, target, worker
from tests.support.waiting import eventually

JOBS, ONE = "/v0/jobs", f"/v0/jobs/{JOB}"
YES = ("--consent", "contract 17")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at once."""
    monkeypatch.setattr(watching, "EVERY_S", 0.01)


@pytest.fixture
def taking(server: StandIn) -> StandIn:
    """A server that takes jobs, and has a machine for them."""
    server.say("POST", JOBS, job())
    server.say("GET", "/v0/work", status(worker()))
    return server


def asked(server: StandIn) -> dict[str, Any]:
    """The body of the newest job that was asked for."""
    return json.loads([request for request in server.requests if request.path == JOBS][-1].body)


def test_a_job_is_made(run: Run, taking: StandIn) -> None:
    """Its id and how large it is; and how to follow it. Nothing is asked for that was not said."""
    result = run("scan", "198.51.100.0/22", "--remote", *YES)
    assert result.code == 0, result.err
    assert result.lines == [f"{JOB}: 4 targets of 198.51.100.0/22, preset web"]
    assert result.err.splitlines() == [f"Follow it: spectra jobs watch {JOB}"]
    assert asked(taking) == {"targets": ["198.51.100.0/22"], "preset": "services", "consent": "contract 17"}
    assert len(taking.requests[0].key) == 32
    assert json.loads(run("scan", "198.51.100.0/22", "--remote", *YES, "--json").out)["job"] == JOB


def test_all_that_can_be_said(run: Run, taking: StandIn, tmp_path: Path) -> None:
    """Is told to the server."""
    (tmp_path / "more.txt").write_text("www.example.org\n198.51.100.7\n")
    words = ("--preset", "web", "-p", "80,443", "--rate", "50", "--priority", "-5", "--allow", "10.0.0.0/8")
    words += ("--node", "attic", "--region", "eu-west", "--relay", "--window", "daily 22:00-06:00", "--window", "Sat")
    words += ("--skip-forbidden", "--name", "weekly-17", "--consent-until", "2030-01-01")
    result = run("scan", "10.1.0.0/24", "--remote", "-f", tmp_path / "more.txt", *words, *YES)
    assert result.code == 0, result.err
    assert asked(taking) == {
        "targets": ["10.1.0.0/24", "www.example.org", "198.51.100.7"],
        "preset": "web",
        "ports": "80,443",
        "rate": 50,
        "priority": -5,
        "allow": ["10.0.0.0/8"],
        "constraints": {"node": "attic", "region": "eu-west", "relay": True},
        "windows": ["daily 22:00-06:00", "Sat"],
        "skip": True,
        "scan_id": "weekly-17",
        "consent": "contract 17",
        "consent_until": "2030-01-01T00:00:00Z",
    }


def test_ports_are_the_presets_unless_they_are_given(run: Run, taking: StandIn) -> None:
    """Also where what is given is what scans from here take by default."""
    run("scan", "198.51.100.7", "--remote", "-p", "top1000", *YES)
    assert asked(taking)["ports"] == "top1000"


def test_a_plan_is_worked_off_by_machines(run: Run, taking: StandIn) -> None:
    """It has its own targets and ports."""
    plan = "plan-0123456789abcdef0123"
    assert run("scan", "--plan", plan, "--max", "500", "--remote", *YES).code == 0
    assert asked(taking) == {"plan": plan, "max_targets": 500, "preset": "services", "consent": "contract 17"}
    assert run("scan", "198.51.100.7", "--plan", plan, "--remote", *YES).code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--remote", "--submit"), "machines sign and submit by themselves"),
        (("--remote", "--scanner", "nmap"), "spectra presets"),
        (("--remote", "--out", "x.xml"), "spectra jobs files"),
        (("--remote", "--privacy", "full"), "spectra presets"),
        (("--preset", "web"), "--remote"),
        (("--watch",), "--remote"),
        (("--window", "daily"), "--remote"),
        (("--consent-until", "7d"), "--remote"),
        (("--priority", "0"), "--remote"),
        (("--remote", "--name", "\x07"), "printable"),
        (("--remote", "--consent-until", "1999-01-01"), "not ahead"),
    ],
)
def test_options_that_would_be_ignored_are_refused(
    run: Run, taking: StandIn, words: tuple[str, ...], said: str
) -> None:
    """Who says them means something by it."""
    result = run("scan", "198.51.100.7", *words, *YES)
    assert result.code == 2
    assert said in result.err
    assert not taking.requests


def test_somebody_has_to_agree(run: Run, taking: StandIn) -> None:
    """By what is said, what is on record here, or an answer on the terminal; else nothing is asked of machines."""
    unasked = run("scan", "198.51.100.7", "--remote")
    assert unasked.code == 2
    assert "--consent REASON" in unasked.err
    assert not taking.requests
    run("scope", "consent", "198.51.100.0/24", "--reason", "contract 17", "--until", "30d")
    run("scope", "consent", "*.example.org", "--reason", "ours")
    assert run("scan", "198.51.100.7", "www.example.org", "--remote").code == 0
    said = asked(taking)
    assert said["consent"].startswith("contract 17 (")
    assert "; ours (" in said["consent"]
    assert said["consent_until"]
    assert run("scan", "198.51.100.7", "203.0.113.1", "--remote").code == 2


@pytest.mark.parametrize(("typed", "code"), [("ticket 4711\n", 0), ("\n", 2)])
def test_consent_is_asked_for_on_a_terminal(taking: StandIn, typed: str, code: int) -> None:
    """No answer is no consent, and no job."""
    ended, shown, _ = in_terminal("scan", "198.51.100.7", "--remote", typed=typed)
    assert ended == code, shown
    assert "Who agreed to this scan" in shown
    assert [asked(taking)["consent"]] == ["ticket 4711"] if not code else not taking.requests


def test_this_machines_own_list_holds_for_machines_too(run: Run, taking: StandIn) -> None:
    """Refused, or left out of what is asked for: addresses, networks in part, and names."""
    run("scope", "deny", "198.51.100.128/25", "*.example.org")
    for named in ("198.51.100.200", "198.51.100.0/24", "www.example.org"):
        refused = run("scan", named, "--remote", *YES)
        assert refused.code == 1
        assert "do-not-scan list" in refused.err
    assert not taking.requests
    result = run("scan", "198.51.100.0/24", "www.example.org", "--remote", "--skip-forbidden", *YES)
    assert asked(taking)["targets"] == ["198.51.100.0/25"]
    assert result.err.count("left out:") == 2
    assert run("scan", "www.example.org", "--remote", "--skip-forbidden", *YES).code == 2


def test_many_targets_are_told_as_networks(run: Run, taking: StandIn, tmp_path: Path) -> None:
    """As few as there can be; what is too much for one job is told."""
    file = tmp_path / "targets.txt"
    file.write_text("".join(f"198.18.{n >> 8}.{n & 255}\n" for n in range(MAX_TARGETS + 240)))
    assert run("scan", "--remote", "-f", file, *YES).code == 0
    assert asked(taking)["targets"] == ["198.18.0.0/19", "198.18.32.0/21"]
    file.write_text("".join(f"198.18.{n >> 7}.{(n & 127) * 2}\n" for n in range(MAX_TARGETS + 1)))
    assert "several jobs" in run("scan", "--remote", "-f", file, *YES).err


def test_what_keeps_it_from_moving_is_told(run: Run, server: StandIn) -> None:
    """By the server where it knows, else by how it stands with work: no machine, and how to get one."""
    server.say("POST", JOBS, job(waits_for="no machine that scans is alive", left_out=["192.0.2.1 is on the list"]))
    result = run("scan", "198.51.100.7", "--remote", *YES)
    assert "Nothing of it moves yet: no machine that scans is alive." in result.err
    assert "left out: 192.0.2.1 is on the list" in result.err
    server.say("POST", JOBS, job())
    server.say("GET", "/v0/work", status())
    assert "spectra node token" in run("scan", "198.51.100.7", "--remote", *YES).err
    server.say("GET", "/v0/work", problem(403, "the role does not hold jobs:read", reason="forbidden"))
    result = run("scan", "198.51.100.7", "--remote", *YES)
    assert result.code == 0
    assert "jobs:read" in result.err


def test_what_the_server_refuses(run: Run, server: StandIn) -> None:
    """Is told as it says it."""
    hint = "If it is yours to scan: --allow 10.0.0.0/8 for this scan."
    server.say("POST", JOBS, problem(400, "10.0.0.1 lies in special-use space", reason="special_use", hint=hint))
    result = run("scan", "10.0.0.1", "--remote", *YES)
    assert result.code == 2
    assert "--allow 10.0.0.0/8" in result.err


def test_a_broken_connection_makes_one_job(run: Run, taking: StandIn) -> None:
    """What is sent again says that it is the same."""
    taking.say("POST", JOBS, Answer(cut=True), job())
    assert run("scan", "198.51.100.7", "--remote", *YES).code == 0
    keys = [request.key for request in taking.asked(JOBS)]
    assert len(keys) == 2
    assert len(set(keys)) == 1


@pytest.mark.parametrize(("last", "code"), [(over(), 0), (over() | {"counts": {"done": 3, "review": 1}}, 1)])
def test_watching(run: Run, taking: StandIn, last: dict[str, Any], code: int) -> None:
    """To the end of the job; the exit code says whether all of it is done."""
    taking.say("GET", ONE, job(), last)
    taking.say("GET", f"{ONE}/targets", {"targets": [target()]})
    result = run("scan", "198.51.100.0/22", "--remote", "--watch", *YES)
    assert result.code == code
    assert result.lines[0].startswith(f"{JOB}: 4 targets")
    assert "open endpoints" in result.lines[1]
    lines = run("scan", "198.51.100.0/22", "--remote", "--watch", "--json", *YES).lines
    assert json.loads(lines[-1])["state"] == "done"


def test_ctrl_c_leaves_the_job_running(taking: StandIn) -> None:
    """130, and how to follow it and how to end it."""
    taking.say("GET", ONE, job())
    taking.say("GET", f"{ONE}/targets", {"targets": []})
    call = [*CALL, "scan", "198.51.100.0/22", "--remote", "--watch", *YES]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        eventually(lambda: taking.asked(ONE))
        assert interrupted(process) == 130
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert f"spectra jobs watch {JOB}" in said
    assert f"spectra jobs cancel {JOB}" in said
    assert not taking.asked(f"{ONE}/cancel")
