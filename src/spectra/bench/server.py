"""The real server, as a user starts it, in a scratch folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from spectra.engines import lifecycle
from spectra.errors import SetupError
from spectra.identity.keys import SigningKey
from spectra.identity.tokens import LocalCredential

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class BenchServer:
    """A running server: where it is, how to be let in, and what its start cost."""

    url: str
    token: str
    contributor: str
    key: SigningKey
    pid: int
    data_dir: Path
    start_s: float

    def rss_mb(self) -> float:
        """Resident memory of the coordinator process alone, in MB (Linux; 0 elsewhere)."""
        return self._memory_mb("VmRSS")

    def peak_mb(self) -> float:
        """The most that `rss_mb` has been."""
        return self._memory_mb("VmHWM")

    def _memory_mb(self, name: str) -> float:
        status = Path(f"/proc/{self.pid}/status")
        if not status.exists():
            return 0.0
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(fields[name].split()[0]) / 1024


@contextlib.contextmanager
def running() -> Generator[BenchServer]:
    """Start `spectra up` on a scratch folder and a free port; stop it and remove the folder when the block ends.

    The first start initialises the database and is not counted: `start_s` is that of a second start, from the command
    to the first answer.
    """
    with scratch() as data_dir:
        with _process(data_dir, {}):
            pass
        with serving(data_dir) as server:
            yield server


@contextlib.contextmanager
def scratch() -> Generator[Path]:
    """A data folder for a server, removed when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="spectra-bench-"))
    folder.chmod(0o755)  # as root, PostgreSQL's own account has to get through
    try:
        yield folder / "data"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def serving(data_dir: Path, settings: Mapping[str, str] | None = None) -> Generator[BenchServer]:
    """`spectra up` on `data_dir`, with `settings` by the names of their variables; stopped when the block ends."""
    began = time.perf_counter()
    with _process(data_dir, settings or {}) as process:
        start_s = time.perf_counter() - began
        credential = LocalCredential.load(data_dir / "credential.json")
        yield BenchServer(
            credential.url,
            credential.token,
            credential.contributor,
            SigningKey.load(data_dir / credential.key_file),
            process.pid,
            data_dir,
            start_s,
        )


@contextlib.contextmanager
def _process(data_dir: Path, settings: Mapping[str, str]) -> Generator[subprocess.Popen[bytes]]:
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "bench.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "spectra", "up"],
            stdout=out,
            stderr=out,
            env={**_environment(data_dir), **settings},
            start_new_session=True,
        )
    try:
        _wait_until_serving(process, data_dir, log)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(data_dir: Path) -> dict[str, str]:
    """This process's, but never at the database or the blobs of somebody's real node: made-up hosts go in there.

    The nulls, as JSON of whole sections, win over configuration files, and other settings stay what the user wants.
    """
    elsewhere = ("SPECTRA_DATABASE__URL", "SPECTRA_BLOBS__URL", "SPECTRA_SERVER")
    return {name: value for name, value in os.environ.items() if name.upper() not in elsewhere} | {
        "SPECTRA_DATA_DIR": str(data_dir),
        "SPECTRA_DATABASE": '{"url": null}',
        "SPECTRA_BLOBS": '{"url": ""}',
        "SPECTRA_API__PORT": "0",
        "SPECTRA_LOG__LEVEL": "warning",
    }


def _wait_until_serving(process: subprocess.Popen[bytes], data_dir: Path, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    pause = threading.Event()
    while time.monotonic() < deadline and process.poll() is None:
        state = lifecycle.running_state(data_dir)
        if state is not None and state.pid == process.pid:
            return
        pause.wait(0.01)
    raise SetupError(
        "The server to be measured did not start.", reason="bench_start", hint=log.read_text(errors="replace")[-2000:]
    )
