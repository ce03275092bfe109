"""`process`: running tools, with this Python as the tool."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from spectra.collect.scanners import process
from spectra.collect.scanners.base import NotInstalled
from spectra.collect.scanners.process import Ended, find, run_tool, tool_version

FOREVER = "import sys, threading; print('up', flush=True); threading.Event().wait()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FOREVER}"


async def run(
    code: str, folder: Path, *, deadline_s: float = 30, heard: list[bytes] | None = None, stop: str = ""
) -> Ended:
    """Run Python `code`; `stop` is the reason to end it as soon as it has said something."""
    words = heard if heard is not None else []
    return await run_tool(
        [sys.executable, "-c", code],
        folder,
        stdin=b"one\ntwo\n",
        deadline_s=deadline_s,
        hear=words.append,
        stop_if=lambda: stop if words else "",
    )


def test_a_tool_gets_its_input_and_little_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input arrives, the folder is its home, and nothing else of our environment is passed on."""
    monkeypatch.setenv("SPECTRA_TOKEN", "secret")
    heard: list[bytes] = []
    code = "import os, sys; print(sys.stdin.read(), os.getcwd(), os.environ.get('HOME'), 'SPECTRA_TOKEN' in os.environ)"
    ended = asyncio.run(run(code, tmp_path, heard=heard))
    assert (ended.code, ended.stopped, ended.said) == (0, "", "")
    assert b"".join(heard).split() == [b"one", b"two", *[os.fsencode(tmp_path)] * 2, b"False"]


def test_its_errors_are_kept_in_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of standard error and the exit code are told; a flood keeps only its end."""
    monkeypatch.setattr(process, "MAX_ERRORS", 100)
    ended = asyncio.run(run("import sys; sys.stderr.write('x' * 300_000 + 'the reason'); sys.exit(3)", tmp_path))
    assert ended.code == 3
    assert ended.said.endswith("the reason")
    assert len(ended.said) == 100


def test_a_deadline_a_reason_and_a_cancel_each_end_it(tmp_path: Path) -> None:
    """Ended from outside, the call returns and says why; the process is gone."""
    assert asyncio.run(run(FOREVER, tmp_path, deadline_s=0.3)).stopped == "stopped after 0.3 s"
    assert asyncio.run(run(FOREVER, tmp_path, stop="full")).stopped == "full"

    async def cancelled() -> Ended:
        up = asyncio.Event()
        command = [sys.executable, "-c", FOREVER]
        running = run_tool(command, tmp_path, stdin=b"", deadline_s=30, hear=lambda _: up.set(), stop_if=str)
        task = asyncio.ensure_future(running)
        async with asyncio.timeout(30):
            await up.wait()
        task.cancel()
        return await task

    ended = asyncio.run(cancelled())
    assert ended.stopped == "stopped on request"
    assert ended.code != 0


def test_a_tool_is_asked_to_end_in_its_own_way(tmp_path: Path) -> None:
    """By the signal it takes for that, and what it says on standard error meanwhile is heard."""
    code = (
        "import signal, sys, threading\n"
        "def end(*_):\n    sys.stderr.write('bye'); sys.exit(7)\n"
        "signal.signal(signal.SIGINT, end); sys.stderr.write('up'); sys.stderr.flush(); threading.Event().wait()"
    )
    heard: list[bytes] = []

    async def main() -> Ended:
        return await run_tool(
            [sys.executable, "-c", code],
            tmp_path,
            stdin=b"",
            deadline_s=30,
            hear=lambda _: None,
            stop_if=lambda: "enough" if heard else "",
            complain=heard.append,
            politely=signal.SIGINT,
        )

    ended = asyncio.run(main())
    assert (ended.stopped, ended.code) == ("enough", 7)
    assert b"".join(heard).startswith(b"up")


def test_one_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the grace a tool that ignores SIGTERM gets SIGKILL."""
    monkeypatch.setattr(process, "GRACE_S", 0.2)
    ended = asyncio.run(run(STUBBORN, tmp_path, stop="enough"))
    assert (ended.stopped, ended.code) == ("enough", -9)


def test_one_that_does_not_read_is_no_error(tmp_path: Path) -> None:
    """A tool that exits without reading its input ends with its own code."""

    async def main() -> Ended:
        return await run_tool(
            [sys.executable, "-c", "import os; os.close(0)"],
            tmp_path,
            stdin=b"x" * 5_000_000,
            deadline_s=30,
            hear=lambda _: None,
            stop_if=str,
        )

    assert asyncio.run(main()).code == 0


def test_looking_for_a_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent tool is an error with its hint; one that answers nothing in time, or cannot run, has no version."""
    with pytest.raises(NotInstalled, match="Install it so"):
        find("no-such-tool", "Install it so.")
    assert tool_version("no-such-tool") == ""
    assert "Python" in tool_version(sys.executable, "--version")
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x00not a program")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tool_version("broken") == ""
    assert find("broken", "") == str(broken)
