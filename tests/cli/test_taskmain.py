"""The process of one task, as an agent starts it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spectra.collect.taskmessages import Executed, Given, Moved
from tests.collect.test_task import lay, order


def begin(folder: Path, **changes: Any) -> subprocess.Popen[bytes]:
    """The process, with an order in its folder."""
    lay(folder)
    given = Given(order=order(**changes), deadline_s=60.0, timeout_s=1.0)
    (folder / "given.json").write_bytes(msgspec.json.encode(given))
    words = [sys.executable, "-I", "-m", "spectra.cli.taskmain", str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe)


def done(folder: Path) -> Executed:
    """How it says that it went."""
    return msgspec.json.decode((folder / "done.json").read_bytes(), type=Executed)


@pytest.fixture
def port() -> Iterator[str]:
    """A port of this machine that is open."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


def test_it_scans(tmp_path: Path, port: str) -> None:
    """It prints how far it is, and leaves what it found."""
    with begin(tmp_path, ports=port) as process:
        assert process.stdin is not None
        assert process.wait(60) == 0
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
    assert done(tmp_path).outcome == "done"
    assert all(msgspec.json.decode(line, type=Moved) for line in lines)


def test_it_ends_with_its_input(tmp_path: Path) -> None:
    """An agent that died says nothing more: what was found until then is written down."""
    with begin(tmp_path, targets=("127.0.0.0/24",), ports="1-1000", rate=20) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0
    executed = done(tmp_path)
    assert (executed.outcome, executed.reason) == ("partial", "stopped")
    assert executed.outputs


def test_it_reads_no_keys_and_no_settings() -> None:
    """Nothing that signs, no settings, nothing of the command line's is in its process."""
    code = "import sys, json; import spectra.cli.taskmain; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"typer", "pydantic", "spectra.settings", "spectra.identity.keys", "spectra.fabric"} & set(said)
