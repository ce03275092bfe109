"""Spectra as a user starts it: `spectra up` in a process of its own, on a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx

from spectra.engines import lifecycle, natsprocess
from spectra.engines.layout import Layout
from spectra.engines.orphans import end_leftovers, servers_of
from spectra.identity.keys import SigningKey
from spectra.identity.tokens import LocalCredential
from tests.support import chain, samples
from tests.support.clusters import roomy_folder, seed
from tests.support.postgres import reachable_folder
from tests.support.waiting import eventually

SPECTRA = [sys.executable, "-m", "spectra"]


class Running:
    """One data folder, and the Spectra that serves it from `start` to `stop` or `kill`."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.log = folder / "spectra.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.seeded = True
        """Whether the first start finds a database; without, it makes one as it does for a user."""
        own = {k: v for k, v in os.environ.items() if not k.startswith(("SPECTRA_", "XDG_", "NO_COLOR"))}
        self.environment = own | {
            "XDG_CONFIG_HOME": str(folder / "config"),
            "SPECTRA_DATA_DIR": str(self.data_dir),
            "SPECTRA_API__PORT": "0",
            "SPECTRA_DATABASE__SHARED_BUFFERS_MB": "32",
            "SPECTRA_LOG__FORMAT": "json",
            "NO_COLOR": "1",
            "COLUMNS": "120",
            **variables,
        }

    # --- the process ---

    def launch(self) -> subprocess.Popen[bytes]:
        """Start `spectra up` and return at once."""
        self.prepare()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*SPECTRA, "up"], stdout=log, stderr=log, env=self.environment, start_new_session=True
            )
        return self.process

    def prepare(self) -> None:
        """What is there before a first start."""
        if self.seeded and "SPECTRA_DATABASE__URL" not in self.environment:
            seed(self.data_dir)

    def start(self) -> Running:
        """Start `spectra up` and wait until it serves."""
        process = self.launch()
        eventually(lambda: self.serving or process.poll() is not None, within_s=120)
        assert process.poll() is None, self.logged[-4000:]
        return self

    @property
    def serving(self) -> bool:
        """Whether this very process has said that it serves."""
        state = lifecycle.running_state(self.data_dir)
        return state is not None and self.process is not None and state.pid == self.process.pid

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    @property
    def logged(self) -> str:
        """All that it wrote, over all starts."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    @property
    def postgres(self) -> list[int]:
        """The pids of every PostgreSQL process on the folder."""
        layout = Layout.of(self.data_dir)
        return servers_of(layout) if layout.cluster.is_dir() else []

    @property
    def postmaster(self) -> int:
        """The pid of the PostgreSQL server itself."""
        return int((Layout.of(self.data_dir).cluster / "postmaster.pid").read_text().split()[0])

    # --- asking it ---

    @property
    def credential(self) -> LocalCredential:
        """What `up` left for the command line."""
        return LocalCredential.load(self.data_dir / "credential.json")

    @property
    def url(self) -> str:
        """Where it serves now."""
        state = lifecycle.running_state(self.data_dir)
        assert state is not None, self.logged[-4000:]
        return state.url

    def client(self, **options: Any) -> httpx.Client:
        """An HTTP client with the local credential."""
        headers = {"authorization": f"Bearer {self.credential.token}"}
        options = {"timeout": 60, **options}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, verify=False, **options)

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that succeeds."""
        with self.client() as client:
            response = client.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    def recorded(self, after: int) -> list[str]:
        """`chain.kinds` of the entries that came after so many."""
        return chain.kinds(self.get("/v0/provenance/entries", after=after, limit=1000))

    def seal(self, output: bytes, **fields: Any) -> bytes:
        """An envelope around `output`, signed by the local admin."""
        own = self.credential
        return samples.sealed(SigningKey.load(self.data_dir / own.key_file), own.contributor, output, **fields)

    def submit(self, envelope: bytes, path: str = "/v0/mesh/ingest") -> httpx.Response:
        """POST an envelope."""
        with self.client() as client:
            return client.post(path, content=envelope)

    def found(self, q: str) -> list[dict[str, Any]]:
        """What a search finds."""
        return self.get("/v0/search", q=q)["matches"]

    # --- the command line ---

    def cli(self, *words: str | Path, code: int = 0, **variables: str) -> str:
        """Standard output of `spectra WORDS`, which ends with `code`."""
        done = self.run(*words, **variables)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """`spectra WORDS`, ended."""
        return subprocess.run(
            [*SPECTRA, *map(str, words)],
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def rows(self, *words: str | Path, code: int = 0) -> list[Any]:
        """The JSON lines of `spectra WORDS`."""
        return [json.loads(line) for line in self.cli(*words, code=code).splitlines()]

    def clean_up(self) -> None:
        """Whatever a test left running is ended, by its pid."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        state = lifecycle.running_state(self.data_dir) if self.data_dir.is_dir() else None
        if state is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(state.pid, signal.SIGKILL)
            eventually(lambda: not lifecycle.is_running(self.data_dir))
        natsprocess.end_leftovers((self.data_dir / "nats" / "nats.conf").resolve())
        layout = Layout.of(self.data_dir)
        if layout.cluster.is_dir():
            end_leftovers(layout)


@contextlib.contextmanager
def spectra(folder: Path | None = None, **variables: str) -> Generator[Running]:
    """A folder for one Spectra, not started; ended and removed with the block."""
    base = folder or roomy_folder()
    base.chmod(0o755)  # PostgreSQL's own account has to pass where the tests run as root
    running = Running(base, **variables)
    try:
        yield running
    finally:
        running.clean_up()
        if folder is None:
            shutil.rmtree(base, ignore_errors=True)


@contextlib.contextmanager
def first_spectra(folder: Path | None = None, **variables: str) -> Generator[Running]:
    """The same for tests of a first start, as a user has it: on the disk, and with no database made before."""
    base = folder or reachable_folder()
    try:
        with spectra(base, **variables) as running:
            running.seeded = False
            yield running
    finally:
        if folder is None:
            shutil.rmtree(base, ignore_errors=True)
