"""`spectra nodes`: the machines of the mesh in a line each."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from spectra.cli.nodelist import brief, changes, left, skew
from spectra.cli.problems import ApiError, ProblemBody, Unreachable
from spectra.model.nodes import CertificateRecord
from spectra.model.workpages import WorkingNode
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem
from tests.cli.test_terminal import CALL
from tests.cli.worksamples import status, worker

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def node(name: str, **fields: Any) -> dict[str, Any]:
    """A node as the server tells of it."""
    return {
        "name": name,
        "uri": f"spiffe://mesh-x/node/{name}",
        "role": "worker",
        "standing": "active",
        "presence": "alive",
        "created": "2026-01-01T00:00:00Z",
    } | fields


def full(name: str, **fields: Any) -> dict[str, Any]:
    """One that has joined, with all that is known of it."""
    known = node(
        name,
        joined="2026-01-01T00:00:00Z",
        last_seen=(NOW - timedelta(seconds=3)).isoformat(),
        transport="mqtt",
        capabilities={
            "cores": 4,
            "memory_mb": 1900,
            "arch": "aarch64",
            "os": "linux",
            "software": "0.5.0",
            "tools": [{"name": "nmap", "version": "7.95"}, {"name": "naabu"}],
            "region": "eu-west",
        },
        load={"cpu": 0.42, "memory_free_mb": 700, "tasks": 2},
        skew_s=0.25,
        keyid="ab" * 32,
        certificate={
            "serial": "12345",
            "spki": "cd" * 32,
            "not_before": NOW.isoformat(),
            "not_after": (NOW + timedelta(hours=15, minutes=30)).isoformat(),
        },
    )
    return known | fields


def record(**fields: Any) -> WorkingNode:
    """A node as a struct."""
    return msgspec.convert(full("attic") | fields, WorkingNode)


def say(server: StandIn, *nodes: dict[str, Any]) -> None:
    """What the server has."""
    server.say("GET", "/v0/nodes", {"nodes": list(nodes)})


def test_the_table_fits_a_hundred_columns(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that somebody looks for at a glance, in the order the server has: by name."""
    monkeypatch.setenv("COLUMNS", "100")
    say(server, full("attic"), node("barn", presence="dead", standing="quarantined", reason="odd"))
    head, attic, barn = run("nodes").lines
    assert max(map(len, (head, attic, barn))) <= 100
    assert head.split() == ["NODE", "ROLE", "PRESENCE", "STANDING", "LOAD", "TOOLS", "ARCH", "CERT", "SKEW"]
    for words in ("attic", "worker", "alive", "active", "42%", "nmap, naabu", "aarch64", "15 h", "+0.2 s"):
        assert words in attic
    assert barn.split() == ["barn", "worker", "dead", "quarantined"]


def test_json_has_all_of_it_and_csv_the_values(run: Run, server: StandIn) -> None:
    """For programs; the same names as `--fields`."""
    say(server, full("attic"))
    assert json.loads(run("nodes", "--json").out)["certificate"]["serial"] == "12345"
    header, row = run("nodes", "--csv").lines
    values = dict(zip(header.split(","), row.replace('"nmap, naabu"', "tools").split(","), strict=True))
    assert values["presence"] == "alive"
    assert (values["load_cpu"], values["skew_s"], values["region"]) == ("0.42", "0.25", "eu-west")
    assert run("nodes", "--fields", "name,role", "--csv").lines == ["name,role", "attic,worker"]


def test_what_is_asked_for(run: Run, server: StandIn) -> None:
    """By role, presence and standing; what there is not is told before the server is asked."""
    say(server)
    result = run("nodes", "--presence", "dead", "--role", "full", "--standing", "active")
    assert "There is no such node" in result.err
    asked = server.asked("/v0/nodes")[0].params
    assert {asked["presence"], asked["role"], asked["standing"]} == {"dead", "full", "active"}
    assert run("nodes", "--presence", "late").code == 2
    assert run("nodes", "--role", "boss").code == 2
    assert len(server.asked("/v0/nodes")) == 1


def test_revoked_ones_are_counted_not_shown(run: Run, server: StandIn) -> None:
    """They only ever get more; and of nobody it is said what to do."""
    say(server, node("attic"), node("barn", standing="revoked"))
    result = run("nodes")
    assert "barn" not in result.out
    assert "1 revoked node not shown: --standing revoked" in result.err
    assert "barn" in run("nodes", "--standing", "revoked").out
    say(server)
    assert "spectra node token" in run("nodes").err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.0, "0.0 s"),
        (-0.04, "0.0 s"),
        (-1.25, "-1.2 s"),
        (59.9, "+59.9 s"),
        (-600, "-10 min"),
        (86400 * 40, "+40 d"),
    ],
)
def test_skew_in_words(seconds: float | None, words: str) -> None:
    """Ahead of the coordinator's clock or behind it."""
    assert skew(seconds).plain == words


def test_what_is_left_of_a_certificate() -> None:
    """Yellow once it should have been renewed, red when it is over."""
    kept = CertificateRecord("1", "x", NOW, NOW + DAY)
    shown = [left(kept, NOW + hours * DAY / 24) for hours in (0, 17, 19, 24)]
    assert [text.plain for text in shown] == ["1 d", "7 h", "5 h", "expired"]
    assert [str(text.style) for text in shown] == ["", "", "yellow", "red"]
    assert left(None, NOW).plain == ""
    assert brief(timedelta(seconds=-3)) == "0 s"


def test_changes_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Each node at first, then whoever changed; a heartbeat is no change, and a server that is away is waited for."""
    looks: list[list[WorkingNode] | Exception] = [
        [record(), record(name="long-gone", standing="revoked")],
        [record(skew_s=1.0)],
        Unreachable("nothing answers"),
        [record(presence="dead"), record(name="barn")],
        [record(presence="dead", standing="revoked"), record(name="barn")],
        ApiError(503, ProblemBody(detail="the database is away")),
        ApiError(401, ProblemBody(detail="this needs a token")),
    ]

    def look() -> tuple[list[WorkingNode], list[WorkingNode]]:
        said = looks.pop(0)
        if isinstance(said, Exception):
            raise said
        return [n for n in said if n.standing != "revoked"], [n for n in said if n.standing == "revoked"]

    told: list[tuple[str, str, str]] = []
    with pytest.raises(ApiError, match="token"):
        told.extend((found.name, found.presence, found.standing) for found in changes(look, lambda: None))
    assert told == [
        ("attic", "alive", "active"),
        ("attic", "dead", "active"),
        ("barn", "alive", "active"),
        ("attic", "dead", "revoked"),
    ]
    assert capsys.readouterr().err.count("going on") == 2


def test_watching_needs_a_terminal_or_json(run: Run, server: StandIn) -> None:
    """A file would fill with tables."""
    say(server, node("attic"))
    assert run("nodes", "--watch").code == 2
    assert run("nodes", "--watch", "--csv").code == 2
    server.say(
        "GET", "/v0/nodes", {"nodes": [node("attic")]}, problem(401, "this needs a token", reason="unauthenticated")
    )
    result = run("nodes", "--watch", "--json", "--every", "0.1")
    assert json.loads(result.lines[0])["name"] == "attic"
    assert result.code == 1


def test_a_table_is_kept_true_on_a_terminal(server: StandIn) -> None:
    """Drawn again in place until Ctrl-C, which is how it ends well."""
    server.say("GET", "/v0/nodes", {"nodes": [full("attic")]}, {"nodes": [full("attic", presence="suspect")]})
    main, child = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "24"}
    env.pop("NO_COLOR", None)
    call = [*CALL, "nodes", "--watch", "--every", "0.1"]
    with subprocess.Popen(call, stdin=child, stdout=child, stderr=child, env=env, start_new_session=True) as process:
        os.close(child)
        shown = bytearray()
        while b"suspect" not in shown:
            shown += os.read(main, 65536)
        process.send_signal(signal.SIGINT)
        try:
            while data := os.read(main, 65536):
                shown += data
        except OSError:  # Linux says EIO when the other end has gone
            pass
        assert process.wait(60) == 0
    os.close(main)
    text = shown.decode()
    assert "1 node, 1 alive" in text
    assert "1 node, 0 alive" in text
    assert "Traceback" not in text


def test_work_is_shown_where_there_is_any(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many scans each is at, what it could not send yet, and who is drained; within a hundred columns."""
    monkeypatch.setenv("COLUMNS", "100")
    say(server, full("attic"), full("barn"), full("cellar"), full("hub"))
    workers = (worker(spooled=12), worker("barn", draining=True, running=2), worker("cellar", draining=True, running=0))
    server.say("GET", "/v0/work", status(*workers))
    head, attic, barn, cellar, hub = run("nodes").lines
    assert max(map(len, (head, attic, barn, cellar, hub))) <= 100
    assert "WORK" in head
    assert "1/4 +12" in attic
    assert "drained 2" in barn
    assert "drained" in cellar
    assert json.loads(run("nodes", "--json").lines[0])["work"]["spooled"] == 12
    assert run("nodes", "--fields", "name,running,slots,draining", "--csv").lines[2] == "barn,2,4,yes"
    server.say("GET", "/v0/work", problem(500, "oh", reason="internal"))
    assert run("nodes").code == 1
