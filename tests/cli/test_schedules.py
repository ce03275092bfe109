"""`spectra schedule`: what is asked of the server, and how schedules are shown."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem
from tests.cli.worksamples import JOB, schedule

ONE = "/v0/schedules/lab"


def body(server: StandIn) -> dict[str, Any]:
    """What was put."""
    return json.loads(server.asked(ONE)[-1].body)


def test_a_schedule_is_made(run: Run, server: StandIn) -> None:
    """Of a query or selectors, with all that a job may be told."""
    server.say("PUT", ONE, schedule())
    words = ("--every", "6h", "--min-age", "30d", "--preset", "web", "--max", "500", "--priority", "-20")
    words += ("--allow", "192.168.0.0/16", "--node", "attic", "--window", "daily 22:00-06:00")
    result = run("schedule", "add", "lab", "city", "Paris", "service", "ssh", *words, "--consent", "my own network")
    assert result.code == 0, result.err
    assert body(server) == {
        "query": "city:Paris service:ssh",
        "every_s": 21600.0,
        "min_age_s": 30 * 86400,
        "preset": "web",
        "max_endpoints": 500,
        "priority": -20,
        "consent": "my own network",
        "allow": ["192.168.0.0/16"],
        "constraints": {"node": "attic"},
        "windows": ["daily 22:00-06:00"],
    }
    assert "every:" not in result.out
    for said in ("net:192.168.0.0/16 not seen for 1 h", "every 6 h, preset services", "my own network (alice)", JOB):
        assert said in result.out
    assert "spectra schedule run lab" in result.err
    run("schedule", "add", "lab", "port:22", "-service:http", "--consent", "x")
    assert body(server)["query"] == "port:22 -service:http"


def test_a_schedule_needs_consent(run: Run, server: StandIn) -> None:
    """It scans when nobody is there to be asked."""
    assert run("schedule", "add", "lab", "port:22").code == 2
    assert run("schedule", "add", "lab", "port:22", "--every", "often", "--consent", "x").code == 2
    assert not server.requests
    server.say("PUT", ONE, problem(400, "there is no preset 'webb'", reason="unknown_preset", field="preset"))
    assert run("schedule", "add", "lab", "--preset", "webb", "--consent", "x").code == 2


def test_schedules_are_listed(run: Run, server: StandIn) -> None:
    """When each runs, and what troubles it."""
    troubled = schedule(name="old", paused=True, last_error="no plan: the query is wrong")
    server.say("GET", "/v0/schedules", {"schedules": [schedule(), troubled]}, {"schedules": []})
    head, lab, old = run("schedule", "list").lines
    assert head.split()[0] == "SCHEDULE"
    for said in ("lab", "on", "6 h", "in 3 h", "2 h ago"):
        assert said in lab
    assert "paused" in old
    assert "the query is wrong" in old
    assert "spectra schedule add" in run("schedule", "list").err


def test_schedules_are_steered(run: Run, server: StandIn) -> None:
    """Each command is a request, answered with how the schedule is."""
    for verb in ("pause", "resume", "run"):
        server.say("POST", f"{ONE}/{verb}", schedule(paused=verb == "pause"))
    server.say("GET", ONE, schedule())
    server.say("DELETE", ONE, schedule())
    assert "lab, paused" in run("schedule", "pause", "lab").out
    assert "lab, on" in run("schedule", "resume", "lab").out
    assert "spectra jobs" in run("schedule", "run", "lab").err
    assert json.loads(run("schedule", "show", "lab", "--json").out)["every_s"] == 21600.0
    assert run("schedule", "remove", "lab").code == 0
    assert [request.method for request in server.requests] == ["POST", "POST", "POST", "GET", "DELETE"]


def test_a_name_is_one_segment(run: Run, server: StandIn) -> None:
    """Nothing in it reaches another route."""
    assert run("schedule", "show", "../jobs").code == 4
    assert server.requests[0].path == "/v0/schedules/..%2Fjobs"
    assert run("schedule", "show", "..").code == 2
