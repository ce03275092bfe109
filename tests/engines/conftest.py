"""Folders the server's user can reach, servers that are stopped whatever happens, and supervisors to be killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spectra.engines.layout import Layout
from spectra.engines.orphans import end_leftovers
from spectra.engines.postgres import PostgresServer
from tests.support.postgres import reachable_folder

HOLDER = Path(__file__).with_name("holder.py")

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

ServerFactory = Callable[..., PostgresServer]


@pytest.fixture
def folder() -> Generator[Path]:
    """A new folder; whatever PostgreSQL a test leaves in it is ended."""
    path = reachable_folder()
    yield path
    path.chmod(0o700)
    layout = Layout.of(path)
    if layout.cluster.is_dir():
        end_leftovers(layout)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_server(folder: Path) -> Generator[ServerFactory]:
    """Makes servers, by default on `folder`, with little memory; all are stopped after the test."""
    made: list[PostgresServer] = []

    def make(path: Path = folder, **options: Any) -> PostgresServer:
        server = PostgresServer(path, shared_buffers_mb=32, **options)
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop(timeout_s=10)


@dataclass
class Holder:
    """A supervisor in a process of its own, and the three lines it printed."""

    process: subprocess.Popen[str]
    lines: list[str]

    @property
    def url(self) -> str:
        """The server's URL."""
        return self.lines[0]

    @property
    def postmaster(self) -> int:
        """The pid of the server it started."""
        return int(self.lines[1])


@pytest.fixture
def sleeper() -> Generator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts shells that do nothing, and ends them. They speak first: until then they may still be Python."""
    with contextlib.ExitStack() as stack:

        def start(cwd: Path | None = None, user: int | None = None) -> subprocess.Popen[bytes]:
            command = ["sh", "-c", "echo up; read nothing"]
            process = stack.enter_context(
                subprocess.Popen(command, cwd=cwd, user=user, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            return process

        yield start


@pytest.fixture
def hold() -> Generator[Callable[..., Holder]]:
    """Starts holders (see holder.py), `before` being a command that wraps it; all end after the test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, before: tuple[str, ...] = ()) -> Holder:
            command = [*before, sys.executable, str(HOLDER), *arguments]
            process = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            assert process.stdout is not None
            first = process.stdout.readline().strip()
            if not first or first.startswith("SetupError"):
                return Holder(process, [first])
            return Holder(process, [first, *(process.stdout.readline().strip() for _ in range(2))])

        yield start
