"""Networks of the tests' own: a namespace with a bridge for the coordinator, and one on a wire for each board."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

import pytest

T = TypeVar("T")

HQ: Final = "10.250.7.1"
_CLONE_NEWNET: Final = 0x40000000
_INSIDE_S: Final = 120


def run(*command: str) -> subprocess.CompletedProcess[bytes]:
    """One command of set-up."""
    return subprocess.run(command, capture_output=True, timeout=30, check=False)


class Net:
    """The coordinator's namespace `hq`, whose bridge has the address `HQ`, and boards' namespaces by their names."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._mark = uuid4().hex[:6]
        self._boards: dict[str, int] = {}
        self.hq = self._namespace("hq")
        self._do("ip", "-n", self.hq, "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0")
        self._do("ip", "-n", self.hq, "addr", "add", f"{HQ}/24", "dev", "bridge")
        self._do("ip", "-n", self.hq, "link", "set", "bridge", "up")
        self._thread = ThreadPoolExecutor(1, initializer=_enter, initargs=(self.hq,))
        stack.callback(self._thread.shutdown)

    def board(self, name: str) -> tuple[str, ...]:
        """A namespace on the bridge; the words to put before a command that is to run there."""
        number = self._boards[name] = len(self._boards) + 2
        namespace = self._namespace(str(number))
        inside = ("ip", "-n", namespace)
        self._do(
            "ip", "-n", self.hq, "link", "add", f"w{number}", "type", "veth", "peer", "name", "wire", "netns", namespace
        )
        self._do("ip", "-n", self.hq, "link", "set", f"w{number}", "master", "bridge", "up")
        self._do(*inside, "addr", "add", f"10.250.7.{number}/24", "dev", "wire")
        self._do(*inside, "link", "set", "wire", "up")
        return self.enter(namespace)

    def enter(self, namespace: str) -> tuple[str, ...]:
        """The words to put before a command."""
        return ("ip", "netns", "exec", namespace)

    def cut(self, *names: str) -> None:
        """Pull the wires of boards; without names, of all."""
        self._set(names, "down")

    def heal(self, *names: str) -> None:
        """Plug them in again."""
        self._set(names, "up")

    def inside(self, work: Callable[[], T]) -> T:
        """The answer of `work`, done on a thread that lives in the coordinator's namespace."""
        return self._thread.submit(work).result(_INSIDE_S)

    def _set(self, names: tuple[str, ...], state: str) -> None:
        for name in names or self._boards:
            self._do("ip", "-n", self.hq, "link", "set", f"w{self._boards[name]}", state)

    def _namespace(self, name: str) -> str:
        made = f"sp-{self._mark}-{name}"
        if run("ip", "netns", "add", made).returncode != 0:
            pytest.skip("network namespaces may not be made here")
        self._stack.callback(run, "ip", "netns", "del", made)
        self._do("ip", "-n", made, "link", "set", "lo", "up")
        return made

    def _do(self, *command: str) -> None:
        done = run(*command)
        if done.returncode != 0:
            pytest.skip(f"the network cannot be made here: {done.stderr.decode().strip()}")


@contextmanager
def net() -> Generator[Net]:
    """A network until the block ends; skips where this machine does not let us make one."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces take root")
    if shutil.which("ip") is None:
        pytest.skip("ip (iproute2) is needed to make a network")
    with ExitStack() as stack:
        yield Net(stack)


def _enter(namespace: str) -> None:
    """Move this thread into a namespace."""
    with Path("/run/netns", namespace).open("rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
