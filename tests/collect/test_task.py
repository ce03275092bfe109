"""What a task does with its order: the law first, then the tool, then the scan; and what it leaves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spectra.collect import task
from spectra.collect.relays import read_memory
from spectra.collect.scanners.base import Progress, RawOutput, Report, ScanRequest
from spectra.collect.task import Log, Refusal, perform, request
from spectra.collect.taskmessages import Executed, Given, Moved
from spectra.errors import BadRequest
from spectra.model.lawbook import LawBook
from spectra.model.presets import Preset
from spectra.model.work import Endpoint, Loss, Order, Permission

LOOPBACK = Permission("the owner", "a test", datetime(2025, 1, 1, tzinfo=UTC), None, ("127.0.0.0/8",))
QUICK = Preset(name="quick", description="", tools=("connect",), timeout_s=1.0, grab=False)


def order(**changes: Any) -> Order:
    """An order for a scan of this machine."""
    made = Order(
        lease="a" * 32,
        job="job-" + "0" * 20,
        target=1,
        attempt=1,
        scan_id="scan-1",
        targets=("127.0.0.1",),
        ports="9",
        preset=QUICK,
        permission=LOOPBACK,
        rate=1000,
        deadline_s=60.0,
        lease_s=60.0,
    )
    return msgspec.structs.replace(made, **changes)


def lay(folder: Path, never: tuple[str, ...] = (), own: tuple[tuple[str, str], ...] = ()) -> None:
    """The law in a task's folder."""
    (folder / "law.json").write_bytes(msgspec.json.encode(LawBook(1, never)))
    (folder / "own-law.json").write_bytes(msgspec.json.encode(own))


def do(
    folder: Path, wanted: Order, *, stopped: bool = False, relays: tuple[str, ...] = ()
) -> tuple[Executed, list[Moved]]:
    """Perform an order: how it ended, and how it went on."""
    moved: list[Moved] = []

    async def work() -> Executed:
        stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if stopped:
            stop.set_result(None)
        return await perform(
            Given(order=wanted, deadline_s=30.0, timeout_s=1.0, relays=relays), folder, moved.append, stop
        )

    executed = asyncio.run(work())
    assert msgspec.json.decode((folder / "done.json").read_bytes(), type=Executed) == executed
    return executed, moved


@pytest.fixture
def port() -> Iterator[str]:
    """A port of this machine that is open."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


def test_a_scan(tmp_path: Path, port: str) -> None:
    """Its output is left as the tool made it, with a log of what happened, and what it took."""
    lay(tmp_path)
    executed, _ = do(tmp_path, order(ports=port))
    assert (executed.outcome, executed.reason, executed.tool, executed.stats.found) == (
        "done",
        "",
        "spectra-connect",
        1,
    )
    assert executed.stats.memory_mb > 5
    assert executed.stats.cpu_s > 0
    (output,) = executed.outputs
    assert port.encode() in (tmp_path / output.file).read_bytes()
    assert (output.scan_type, output.tool) == ("tcp-connect", "spectra-connect")
    assert [(one.kind, one.file) for one in executed.artefacts] == [("log", "log.txt")]
    log = (tmp_path / "log.txt").read_text()
    assert "connect: 127.0.0.1; attempt 1" in log
    assert "done: 1 endpoints" in log


@pytest.mark.parametrize(
    ("changes", "never", "own", "reason", "message"),
    [
        ({}, ("127.0.0.0/30",), (), "do_not_scan", "127.0.0.1 is on the do-not-scan list"),
        ({"targets": ("127.0.0.1", "127.1.1.1")}, ("127.1.0.0/16",), (), "do_not_scan", "127.1.1.1"),
        ({}, (), (("127.0.0.1", "do-not-scan.txt:3"),), "not_here", "do-not-scan.txt:3"),
        ({"permission": msgspec.structs.replace(LOOPBACK, allow=())}, (), (), "special_use", "loopback|Loopback"),
        ({"permission": msgspec.structs.replace(LOOPBACK, expires=LOOPBACK.granted)}, (), (), "no_consent", "consent"),
        ({"targets": ("127.0.0.1/x",)}, (), (), "bad_order", "not a network"),
        ({"ports": "x"}, (), (), "bad_order", "ports"),
        ({"permission": msgspec.structs.replace(LOOPBACK, allow=("x",))}, (), (), "bad_order", "not a network"),
        ({"preset": msgspec.structs.replace(QUICK, tools=("bbot",))}, (), (), "no_tool", "bbot"),
        ({"ports": "U:53"}, (), (), "not_here", "TCP only"),
    ],
)
def test_what_may_not_be_is_refused(
    tmp_path: Path,
    changes: dict[str, Any],
    never: tuple[str, ...],
    own: tuple[tuple[str, str], ...],
    reason: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the first packet, and as a whole: the coordinator cuts it, or another machine does it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    lay(tmp_path, never, own)
    executed, moved = do(tmp_path, order(**changes))
    assert (executed.outcome, executed.reason) == ("refused", reason)
    assert any(word in executed.message for word in message.split("|")), executed.message
    assert (executed.outputs, moved) == ((), [])
    assert f"refused: {reason}" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize("name", ["law.json", "own-law.json"])
@pytest.mark.parametrize("content", [None, b"{", b'["a"]', b'{"version": 1, "rules": [""]}', b'[["??", "x"]]'])
def test_without_the_law_nothing_is_scanned(tmp_path: Path, name: str, content: bytes | None) -> None:
    """A list that is not there, or cannot be read, is no empty one."""
    lay(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    executed, _ = do(tmp_path, order())
    assert (executed.outcome, executed.reason) == ("refused", "law_unknown")


def test_a_name_without_address_fails(tmp_path: Path) -> None:
    """Another machine may have another resolver: it counts as an attempt."""
    lay(tmp_path)
    permission = msgspec.structs.replace(LOOPBACK)
    executed, _ = do(tmp_path, order(targets=("nowhere.invalid",), permission=permission))
    assert (executed.outcome, executed.reason) == ("failed", "bad_target")


class OwnTool:
    """The test's own tool, which does as it is told."""

    one_family = False

    def __init__(self, name: str, found: RawOutput | BadRequest | None) -> None:
        self.name = name
        self._found = found

    def version(self) -> str:
        """Of no importance."""
        return "1"

    def available(self) -> bool:
        """Always."""
        return True

    async def scan(self, request: ScanRequest, progress: Report) -> RawOutput:
        """Nothing found: wait to be cancelled."""
        progress(Progress(2.0, 4, "beyond"))
        if isinstance(self._found, BadRequest):
            raise self._found
        if self._found is None:
            await asyncio.get_running_loop().create_future()
            raise AssertionError
        return self._found


def _output(**changes: Any) -> RawOutput:
    now = datetime.now(UTC)
    wanted: dict[str, Any] = {"tool": "own", "tool_version": "1", "data": b"x", "scan_type": "t"} | changes
    return RawOutput(started=now, finished=now, **wanted)


def use(monkeypatch: pytest.MonkeyPatch, *tools: OwnTool) -> None:
    """Have these tools on this machine."""

    def choose(names: tuple[str, ...]) -> OwnTool:
        return next(tool for tool in tools if tool.name in names)

    monkeypatch.setattr(task, "choose_of", choose)


def test_a_stopped_scan_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is partial; one that has nothing yet goes back."""
    lay(tmp_path)
    stopped = _output(stopped=True, notes=("stopped on request",), probes=7, loss=Loss(compared=3, answered=1))
    use(monkeypatch, OwnTool("connect", stopped))
    executed, moved = do(tmp_path, order())
    assert (executed.outcome, executed.reason, executed.message) == ("partial", "stopped", "stopped on request")
    assert (executed.stats.found, executed.stats.probes) == (4, 7)
    assert executed.stats.loss == Loss(compared=3, answered=1)
    assert moved == [Moved(1.0, 4, "beyond")]
    use(monkeypatch, OwnTool("connect", None))
    executed, _ = do(tmp_path, order(), stopped=True)
    assert (executed.outcome, executed.reason) == ("refused", "stopped")


def test_a_tool_that_cannot_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next of the preset's tools does it; what found nothing leaves no output."""
    lay(tmp_path)
    preset = msgspec.structs.replace(QUICK, tools=("masscan", "connect"))
    use(monkeypatch, OwnTool("masscan", BadRequest("no loopback")), OwnTool("connect", _output(data=b" \n")))
    executed, _ = do(tmp_path, order(preset=preset))
    assert (executed.outcome, executed.tool, executed.outputs) == ("done", "own", ())
    assert "masscan: no loopback" in (tmp_path / "log.txt").read_text()


def test_how_hard_it_scans(tmp_path: Path) -> None:
    """The lower of what the order and the preset say; waits as the machine says where the preset says nothing."""
    lay(tmp_path)
    prepared = asyncio.run(task.lawful(order(), tmp_path))
    given = Given(order=order(), deadline_s=20.0, interface="eth7", concurrency=33, timeout_s=2.5)
    asked = request(given, prepared)
    assert (asked.rate, asked.deadline_s, asked.interface, asked.concurrency) == (1000, 20.0, "eth7", 33)
    assert (asked.timeout_s, asked.grab) == (1.0, False)
    preset = msgspec.structs.replace(QUICK, timeout_s=0.0, rate=10)
    asked = request(msgspec.structs.replace(given, order=order(preset=preset)), prepared)
    assert (asked.timeout_s, asked.rate) == (2.5, 10)
    with pytest.raises(Refusal):
        request(msgspec.structs.replace(given, order=order(ports="70000")), prepared)


def test_ways_to_send_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool gets them, with what is known to be open; what is learnt is left for the next task."""
    lay(tmp_path)
    asked: list[ScanRequest] = []

    class Relayed(OwnTool):
        async def scan(self, request: ScanRequest, progress: Report) -> RawOutput:
            asked.append(request)
            assert request.relays is not None
            request.relays.broken(request.relays.all[0], 0.0)
            return await super().scan(request, progress)

    use(monkeypatch, Relayed("connect", _output()))
    known = (Endpoint("127.0.0.1", 22, "tcp"), Endpoint("127.0.0.1", 53, "udp"))
    relays = ("socks5://127.0.0.1:1080", "direct")
    executed, _ = do(tmp_path, order(known=known), relays=relays)
    assert executed.outcome == "done"
    assert asked[0].known == ((ip_address("127.0.0.1"), 22),)
    (setback,) = read_memory((tmp_path / "relays-learnt.json").read_bytes()).setbacks
    assert setback.relay == "socks5://127.0.0.1:1080"
    (tmp_path / "relays-learnt.json").rename(tmp_path / "relays.json")
    do(tmp_path, order(), relays=relays)
    assert asked[1].relays is not None
    assert asked[1].relays.waits(asked[1].relays.all[0], "127.0.0.0/24", 0.0)


@pytest.mark.parametrize(
    ("relays", "known", "reason"),
    [(("carrier-pigeon",), (), "not_here"), (("direct",), (Endpoint("x", 1, "tcp"),), "bad_order")],
)
def test_ways_that_cannot_be(tmp_path: Path, relays: tuple[str, ...], known: tuple[Endpoint, ...], reason: str) -> None:
    """A wrong setting is this machine's; a wrong address the order's."""
    lay(tmp_path)
    executed, _ = do(tmp_path, order(known=known), relays=relays)
    assert (executed.outcome, executed.reason) == ("refused", reason)


def test_a_log_is_bounded(tmp_path: Path) -> None:
    """Whatever a tool says, in lines of their own."""
    log = Log()
    for _ in range(1000):
        log.say("x\n\x1b" * 1000)
    log.write(tmp_path / "log")
    data = (tmp_path / "log").read_text()
    assert len(data) < task.MAX_LOG + 5000
    assert "\x1b" not in data
    assert all(len(line) < 2100 for line in data.splitlines())
