"""`spectra scan --plan`: exactly what is planned is scanned, the law holds, and nothing found is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.cli.planned import choose, grouped
from spectra.errors import BadRequest
from spectra.model.plans import Target
from tests.cli.conftest import Run
from tests.cli.standin import RECEIVED, StandIn, problem

ID = "plan-0123456789abcdef0123"
ALLOW = ("--allow", "127.0.0.0/8", "--scanner", "connect", "--consent", "my own machine", "--timeout", "1")


@dataclass
class Town:
    """A service that greets on 127.0.0.1 to 127.0.0.3, on two ports; it remembers who was asked where."""

    ports: list[int] = field(default_factory=list[int])
    asked: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    met: threading.Event = field(default_factory=threading.Event)

    async def greet(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say hello and close."""
        self.asked.append(writer.get_extra_info("sockname")[:2])
        self.met.set()
        writer.write(b"SSH-2.0-OpenSSH_9.6p1\r\n")
        await writer.drain()
        writer.close()

    async def serve(self, ready: threading.Event, end: asyncio.Event) -> None:
        """Greet until `end`."""
        hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
        servers = [await asyncio.start_server(self.greet, "127.0.0.1", 0) for _ in range(2)]
        self.ports = [server.sockets[0].getsockname()[1] for server in servers]
        servers += [await asyncio.start_server(self.greet, hosts[1:], port) for port in self.ports]
        ready.set()
        await end.wait()
        for server in servers:
            server.close()
            await server.wait_closed()


@pytest.fixture
def town() -> Iterator[Town]:
    """A running town."""
    service, ready, end = Town(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(service.serve(ready, end)))
    thread.start()
    assert ready.wait(10)
    yield service
    loop.call_soon_threadsafe(end.set)
    thread.join()
    loop.close()


def target(ip: str, port: int, protocol: str = "tcp") -> Target:
    """A target of a plan."""
    return Target(ip, port, protocol, "ssh", RECEIVED, RECEIVED + timedelta(hours=24))


def plan(targets: Sequence[Target], *, left: int | None = None, cursor: str = "") -> dict[str, Any]:
    """A plan with these targets, as the server answers it."""
    return {
        "plan_id": ID,
        "account": "alice",
        "created": RECEIVED,
        "at": RECEIVED,
        "expires": datetime.now(UTC) + timedelta(days=7),
        "selectors": {},
        "min_age_s": None,
        "stale_total": 4,
        "exact": True,
        "left": len(targets) if left is None else left,
        "targets": targets,
        "next_cursor": cursor,
    }


def test_exactly_what_is_planned_is_scanned(run: Run, server: StandIn, town: Town) -> None:
    """Not every port on every host: each host on its own; what is found is signed, and the rest is told."""
    one, two = town.ports
    planned = [target("127.0.0.1", one), target("127.0.0.2", two), target("127.0.0.3", one), target("127.0.0.3", two)]
    server.say("GET", f"/v0/plan/{ID}", plan(planned), plan([], left=1))
    result = run("scan", "--plan", ID, "--submit", "--name", "round-1", *ALLOW)
    assert result.code == 0, result.err
    assert set(town.asked) == {(t.ip, t.port) for t in planned}
    assert "connect: 4 targets of plan-" in result.err
    assert result.err.splitlines()[-1] == f"4 targets scanned, 1 left in {ID}. Run it again to go on."
    assert {said.scan_id for said in server.submitted} == {"round-1"}
    assert all(said.source.startswith(ID) for said in server.submitted)
    lines = [json.loads(line) for output in server.outputs for line in output.splitlines()]
    found = {(line["ip"], port["port"]) for line in lines if "ip" in line for port in line["ports"]}
    assert found == {(t.ip, t.port) for t in planned}


def test_pages_are_followed_as_far_as_asked(run: Run, server: StandIn, town: Town) -> None:
    """`--max` ends the work; pages follow each other by their cursor."""
    (one, two), ips = town.ports, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    first = plan([target(ip, one) for ip in ips], left=6, cursor="c1")
    second = plan([target(ip, two) for ip in ips], left=6)
    server.say("GET", f"/v0/plan/{ID}", first, second, plan([], left=1))
    result = run("scan", "--plan", ID, "--submit", "--max", "5", *ALLOW)
    assert result.code == 0, result.err
    assert len(set(town.asked)) == 5
    asked = server.asked(f"/v0/plan/{ID}")
    assert (asked[0].params, asked[1].params["cursor"]) == ({"limit": "5"}, "c1")


def test_the_law_comes_first(run: Run, server: StandIn, town: Town) -> None:
    """Special use, the do-not-scan list and consent hold for a plan as for any scan."""
    planned = [target("127.0.0.1", town.ports[0]), target("127.0.0.2", town.ports[0])]
    server.say("GET", f"/v0/plan/{ID}", plan(planned))
    refused = run("scan", "--plan", ID, "--scanner", "connect")
    assert refused.code == 1
    assert "special-use" in refused.err
    unasked = run("scan", "--plan", ID, "--scanner", "connect", "--allow", "127.0.0.0/8")
    assert unasked.code == 2
    assert f"no recorded consent covers 2 targets of {ID}" in unasked.err
    run("scope", "deny", "127.0.0.1")
    assert "do-not-scan" in run("scan", "--plan", ID, *ALLOW).err
    assert town.asked == []
    skipped = run("scan", "--plan", ID, *ALLOW, "--skip-forbidden")
    assert skipped.code == 0, skipped.err
    assert "left out: " in skipped.err
    assert {ip for ip, _ in town.asked} == {"127.0.0.2"}


def test_without_submit_it_is_a_look(run: Run, server: StandIn, town: Town, tmp_path: Path) -> None:
    """A table of what was found, or the outputs in files; nothing is sent."""
    one, two = town.ports
    server.say("GET", f"/v0/plan/{ID}", plan([target("127.0.0.1", one), target("127.0.0.2", two)]))
    result = run("scan", "--plan", ID, *ALLOW)
    assert len(result.lines) == 3
    run("scan", "--plan", ID, *ALLOW, "-o", tmp_path / "again.jsonl")
    assert len(list(tmp_path.glob("again*.jsonl"))) == 2
    assert server.submitted == []


def test_what_the_scanner_cannot_do_is_left_out(run: Run, server: StandIn, town: Town) -> None:
    """The built-in scanner knows TCP; the rest stays in the plan, and that is said."""
    planned = [target("127.0.0.1", 53, "udp"), target("127.0.0.1", 9, "sctp")]
    server.say("GET", f"/v0/plan/{ID}", plan(planned))
    result = run("scan", "--plan", ID, "--submit", *ALLOW)
    assert result.code == 0
    assert "2 targets left out: connect does not know their protocol" in result.err
    assert server.submitted == []


def test_an_empty_plan_and_none(run: Run, server: StandIn) -> None:
    """Nothing to do is no failure; a plan that does not exist is."""
    server.say("GET", f"/v0/plan/{ID}", plan([]), problem(404, "There is no plan.", reason="not_found"))
    empty = run("scan", "--plan", ID, "--submit", *ALLOW)
    assert (empty.code, empty.err.splitlines()[-1]) == (0, f"Nothing is left of {ID}.")
    assert run("scan", "--plan", ID, "--submit", *ALLOW).code == 4


def test_a_plan_says_itself_what_is_scanned(run: Run, server: StandIn) -> None:
    """Targets and ports beside it are a mistake, and naabu would never end one."""
    for words in (("127.0.0.1",), ("-p", "22"), ("-f", "-")):
        refused = run("scan", "--plan", ID, *words)
        assert refused.code == 2
        assert "its own targets" in refused.err
    with pytest.raises(BadRequest, match="closed"):
        choose("naabu")
    assert choose("auto").name in ("nmap", "connect")
    assert choose("connect").name == "connect"


def test_a_server_that_fails_loses_nothing(run: Run, server: StandIn, town: Town, data_dir: Path) -> None:
    """What could not be submitted is kept, and the work ends with the reason."""
    server.say("GET", f"/v0/plan/{ID}", plan([target("127.0.0.1", town.ports[0])]))
    server.say("POST", "/v0/mesh/ingest", problem(403, "not you", reason="forbidden"))
    result = run("scan", "--plan", ID, "--submit", *ALLOW)
    assert result.code == 1
    assert "not you" in result.err
    assert len(list((data_dir / "unsent").iterdir())) == 1


def test_ctrl_c_submits_what_was_found(run: Run, server: StandIn, town: Town) -> None:
    """The scans of the wave end, what they found is submitted, and the exit code says it was stopped."""
    slow = [target(f"127.0.0.{n}", town.ports[n % 2]) for n in (1, 2, 3)]
    server.say("GET", f"/v0/plan/{ID}", plan(slow), plan([], left=2))

    def interrupt() -> None:
        town.met.wait(20)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = run("scan", "--plan", ID, "--submit", "--rate", "3", *ALLOW)
    thread.join()
    assert result.code == 130
    assert "stopped on request" in result.err
    assert server.submitted


addresses = st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.9", "2001:db8::1", "2001:db8::2"])
planned = st.sets(st.tuples(addresses, st.integers(1, 5), st.sampled_from(["tcp", "udp"])), max_size=20)


@given(planned)
def test_groups_are_exactly_the_targets(wanted: set[tuple[str, int, str]]) -> None:
    """Each endpoint once, none besides, and never more groups than there are hosts or ports; the largest first."""
    groups = grouped([target(*one) for one in sorted(wanted)])
    found = [
        (str(ip), port, protocol)
        for group in groups
        for ip in group.hosts
        for protocol in ("tcp", "udp")
        for port in group.ports.numbers(protocol)
    ]
    assert sorted(found) == sorted(wanted)
    assert sum(group.size for group in groups) == len(wanted)
    assert len(groups) <= min(len({ip_address(one[0]) for one in wanted}), len({one[1:] for one in wanted}))
    assert [group.size for group in groups] == sorted((group.size for group in groups), reverse=True)
