"""`spectra tail`: what happened, what happens, and where one goes on."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from spectra.cli.client import Client
from spectra.cli.tail import Following
from spectra.identity.tokens import LocalCredential
from spectra.model.activity import Activity
from tests.cli.conftest import Run
from tests.cli.standin import TOKEN, Answer, StandIn, problem


def entry(cursor: int, title: str = "Job: scan") -> dict[str, Any]:
    """An entry as the server tells it."""
    at = "2026-03-01T12:00:00Z"
    return {
        "cursor": cursor,
        "at": at,
        "kind": "job.created",
        "topic": "job",
        "title": title,
        "subject": f"job-{cursor}",
    }


def event(cursor: int) -> bytes:
    """The same as it happens."""
    return f"id: {cursor}\nevent: activity\ndata: {json.dumps(entry(cursor))}\n\n".encode()


PROGRESS = (
    b'event: progress\ndata: {"job":"j","state":"running","total":4,"done":1,"leased":1,"waiting":2,"review":0,'
    b'"found":3}\n\n'
)


def test_what_there_is_comes_oldest_first(run: Run, server: StandIn) -> None:
    """The last few, or all since a moment; on a terminal nothing in it acts."""
    page = {"activity": [entry(8, "b\x1b[31m"), entry(7, "a")], "head": 8}
    server.say("GET", "/v0/activity", page)
    first, second = run("tail", "--once").lines
    assert first.endswith("a")
    assert "2026-03-01 12:00:00  job" in first
    assert "\x1b" not in second
    server.say(
        "GET", "/v0/activity", {"activity": [entry(7)], "head": 9, "next_cursor": 7}, {"activity": [], "head": 9}
    )
    told = run("tail", "--once", "--since", "1h", "--topic", "job", "--kind", "job.created", "--json").out
    assert [json.loads(line)["cursor"] for line in told.splitlines()] == [7]
    asked = server.asked("/v0/activity")[-2:]
    assert [one.params["after"] for one in asked] == ["0", "7"]
    assert (asked[0].params["since"], asked[0].params["topics"], asked[0].params["kinds"]) == (
        "1h",
        "job",
        "job.created",
    )


def test_a_broken_connection_loses_nothing_and_repeats_nothing(server: StandIn, data_dir: Path) -> None:
    """It goes on after the last that was told whole, however it broke; what is said to keep it open is passed over."""
    server.say(
        "GET",
        "/v0/stream",
        Answer(chunks=(b"retry: 3000\nid: 4\n\n", b": \n\n", event(5), b"id: 6\nevent: activity\n"), cut=True),
        problem(503, "starting"),
        Answer(chunks=(event(6), PROGRESS, b"id: 9\n\n", event(10))),
        Answer(chunks=(event(11),)),
    )
    pauses: list[float] = []
    url = LocalCredential.load(data_dir / "credential.json").url
    with Client(url, TOKEN, attempts=1) as client:
        told = list(itertools.islice(Following(client, {"topics": "job"}, 3, pauses.append), 5))
    assert [one.cursor if isinstance(one, Activity) else one.job for one in told] == [5, 6, "j", 10, 11]
    assert [one.params["cursor"] for one in server.asked("/v0/stream")] == ["3", "5", "5", "10"]
    assert len(pauses) == 3


def test_what_does_not_pass_ends_it(run: Run, server: StandIn) -> None:
    """Such as a topic that one may not see."""
    server.say("GET", "/v0/activity", problem(403, "The role user does not hold audit:read.", reason="forbidden"))
    told = run("tail", "--topic", "account")
    assert told.code == 1
    assert "audit:read" in told.err


@pytest.mark.parametrize("words", [("--lines", "-1"), ("--cursor", "x")])
def test_words_that_make_no_sense_are_refused(run: Run, words: tuple[str, str]) -> None:
    """Before anything is asked."""
    assert run("tail", *words).code == 2
