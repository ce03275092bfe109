"""One order in the sandbox: what the task is given, how it is ended, and what is believed of it."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spectra.collect.execution import COMMAND, Execution, own_law
from spectra.collect.lawbook import Lawbook, LawUnknown, Told
from spectra.collect.sandbox import Sandbox
from spectra.collect.taskmessages import Executed, Hooks, Lending, Moved
from tests.collect.test_task import order

MIB = 2**20


class Bench:
    """A machine that does orders, and what its task said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sandbox = Sandbox(path / "node", grace_s=5.0)
        self.lending = Lending(slots=1, memory_mb=300)
        self.lawbook = Lawbook(path, lambda: Told(1, msgspec.Raw(b"[]")))
        self.stop = threading.Event()
        self.moved: list[Moved] = []
        self.most = MIB
        self.command: tuple[str, ...] = COMMAND

    def lie(self, code: str) -> None:
        """Tasks are these lines of Python from now on."""
        self.command = (sys.executable, "-I", "-c", code)

    def do(self, **changes: Any) -> Executed:
        """An order, done."""
        folder = self.sandbox.folder("a" * 32)
        execution = Execution(self.sandbox, self.lending, self.lawbook, self.most, command=self.command)
        return execution(order(**changes), folder, Hooks(self.moved.append, self.stop))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A machine."""
    made = Bench(tmp_path)
    made.sandbox.prepare()
    yield made
    made.sandbox.remove(made.sandbox.base)


def test_a_scan(bench: Bench) -> None:
    """By the real process: what it found, how far it came, and what it took."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        executed = bench.do(ports=str(server.getsockname()[1]))
    assert (executed.outcome, executed.tool, executed.stats.found) == ("done", "spectra-connect", 1), executed
    assert executed.stats.memory_mb > 5
    assert len(executed.outputs) == 1


def test_it_is_told_to_stop(bench: Bench) -> None:
    """It hands out what it has: here nothing yet, or a part."""
    bench.stop.set()
    executed = bench.do(targets=("127.0.0.0/24",), ports="1-1000", rate=10)
    assert executed.outcome in {"partial", "refused"}
    assert executed.reason == "stopped"


@pytest.mark.parametrize("window", [True, False])
def test_its_time_is_over(bench: Bench, window: bool) -> None:
    """What was found until then is kept, and why it ended is told."""
    until = {"not_after": datetime.now(UTC) + timedelta(seconds=3)} if window else {"deadline_s": 0.5}
    executed = bench.do(targets=("127.0.0.0/24",), ports="1-1000", rate=10, **until)
    assert (executed.outcome, executed.reason) == ("partial", "window" if window else "deadline"), executed
    assert executed.outputs


def test_a_window_that_has_passed(bench: Bench) -> None:
    """Nothing is begun."""
    executed = bench.do(not_after=datetime.now(UTC))
    assert (executed.outcome, executed.reason) == ("refused", "window")


def test_without_the_law_nothing_begins(bench: Bench) -> None:
    """The mesh's is too old, or our own cannot be read."""
    with pytest.raises(LawUnknown):
        bench.do(law=2)
    (bench.path / "mine.txt").write_bytes(b"\xff")
    bench.lending = msgspec.structs.replace(bench.lending, never_files=(str(bench.path / "mine.txt"),))
    with pytest.raises(LawUnknown, match="cannot be read"):
        bench.do()


def test_our_own_law(bench: Bench) -> None:
    """Lists are read anew each time; an entry is told with its place; a list that is not there says nothing."""
    mine = bench.path / "mine.txt"
    bench.lending = msgspec.structs.replace(bench.lending, never=("192.0.2.1",), never_files=(str(mine),))
    assert own_law(bench.lending) == [("192.0.2.1", "scan.do_not_scan")]
    mine.write_text("# ours\n\n127.0.0.1  # this machine\n")
    assert own_law(bench.lending)[1:] == [("127.0.0.1", "mine.txt:3")]
    executed = bench.do()
    assert (executed.outcome, executed.reason) == ("refused", "not_here")
    assert "mine.txt:3" in executed.message


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        ("raise SystemExit(3)", "crashed", "ended with code 3"),
        ("print(1/0)", "crashed", "ZeroDivisionError"),
        ('open("done.json", "w").write("{")', "untrue_output", "done.json"),
        ('open("done.json", "w").write("x" * 300000)', "untrue_output", "nothing usable"),
        ('open("done.json", "w").write("{}")', "untrue_output", "outcome"),
        ('import os; os.symlink("/etc/passwd", "done.json")', "untrue_output", "nothing usable"),
        ('[open(f"f{n}", "w").write("x" * 900000) for n in range(9)]; input()', "output", "worker.output_mb"),
    ],
)
def test_what_is_not_believed(bench: Bench, code: str, reason: str, message: str) -> None:
    """Whatever the process leaves, the attempt has failed, and says why."""
    bench.lie(code)
    executed = bench.do()
    assert (executed.outcome, executed.reason) == ("failed", reason), executed
    assert message in executed.message
    assert (executed.outputs, executed.artefacts) == ((), ())


def test_what_it_prints_is_no_more_than_that(bench: Bench) -> None:
    """Progress is heard, all else passed over."""
    lines = '{"fraction":0.5,"found":2}', "hello", '{"fraction":7}', "[" * 500
    done = '{"outcome": "done", "stats": {"found": 2}}'
    bench.lie(f"print(*{lines!r}, sep=chr(10)); open('done.json', 'w').write({done!r})")
    executed = bench.do()
    assert (executed.outcome, executed.stats.found) == ("done", 2), executed
    assert bench.moved == [Moved(0.5, 2)]
