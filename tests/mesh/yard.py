"""A mesh that works: jobs over addresses of loopback, all of which one small server answers for."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx

from tests.mesh.town import Board, Town
from tests.support.clusters import roomy_folder
from tests.support.waiting import eventually

LEASE_S = 6.0
"""Short, so that a lost machine is noticed within a test's patience."""


class Answering:
    """A TCP server on every address of this machine: whoever connects is greeted and let go."""

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.create_server(("0.0.0.0", port), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="answering", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until it is closed, or its process ended."""
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"220 yard ready\r\n")

    def close(self) -> None:
        """Answer nobody any more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


class Yard(Town):
    """A town whose machines are given work."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.answering = Answering()
        presets = folder / "presets"
        presets.mkdir()
        (presets / "yard.yaml").write_text(
            "name: yard\ndescription: One port of each address, an address a target.\n"
            f"tools: [connect]\nports: '{self.answering.port}'\nchunk: 1\ntimeout_s: 2\ngrab: false\n"
        )
        work = {
            "SPECTRA_WORK__PRESETS": str(presets),
            "SPECTRA_WORK__LEASE_S": str(LEASE_S),
            "SPECTRA_WORK__PER_NETWORK": "64",
            "SPECTRA_WORK__PER_NODE": "4",
            "SPECTRA_WORK__NETWORK_RATE": "100000",
        }
        super().__init__(folder, **work, **variables)
        self.workers: dict[str, Board] = {}

    def worker(self, name: str, slots: int = 2, **variables: str) -> Board:
        """A machine that works."""
        board = self.workers[name] = self.joined(name, SPECTRA_WORKER__SLOTS=str(slots), **variables)
        return board

    def ask(self, *targets: str, **asked: Any) -> str:
        """A job; its id."""
        wanted = {"preset": "yard", "consent": "tests of our own machine", "allow": ["127.0.0.0/8"], **asked}
        return self.post("/v0/jobs", {"targets": list(targets), **wanted})["job"]

    @contextlib.contextmanager
    def asked(self, *targets: str) -> Generator[str]:
        """A job until the block ends."""
        job = self.ask(*targets)
        yield job
        if self.job(job)["state"] != "done":
            self.post(f"/v0/jobs/{job}/cancel", {"reason": "the test is over"})

    def job(self, job: str) -> dict[str, Any]:
        """A job as it stands."""
        return self.running.get(f"/v0/jobs/{job}")

    def done(self, job: str) -> int:
        """How many of its targets are done; -1 while nobody can tell."""
        with self.running.client() as client, contextlib.suppress(httpx.TransportError):
            response = client.get(f"/v0/jobs/{job}")
            if response.status_code == 200:
                return response.json()["counts"].get("done", 0)
        return -1

    def until(self, job: str, done: int, within_s: float = 120) -> None:
        """Wait until so many of its targets are done."""
        try:
            eventually(lambda: self.done(job) >= done, within_s=within_s, every_s=0.1)
        except AssertionError as error:
            raise AssertionError(f"{done} of {self.job(job)}: {self.running.logged[-3000:]}") from error

    def resumed(self, job: str, began: float) -> float:
        """Seconds from `began` (steady clock) until another target is done."""
        before = eventually(lambda: self.done(job) + 1)
        self.until(job, before)
        return time.monotonic() - began

    def targets(self, job: str) -> list[dict[str, Any]]:
        """All of them."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.running.get(f"/v0/jobs/{job}/targets", limit=1000, cursor=cursor)
            found += page["targets"]
            cursor = page.get("next_cursor", "")
            if not cursor:
                return found

    def history(self, target: int) -> list[dict[str, Any]]:
        """Every attempt at a target."""
        return self.running.get(f"/v0/targets/{target}").get("history", [])

    def ended_once(self, job: str) -> Counter[str]:
        """That each target ended exactly once, with all it found; how its attempts ended, over all of them.

        1. one attempt of each is `done`; 2. each attempt that brought observations has its own, told of one job
        alone; 3. every address is in the graph.
        """
        ends: Counter[str] = Counter()
        seen: list[str] = []
        addresses: set[str] = set()
        for target in self.targets(job):
            assert target["state"] == "done", target
            history = self.history(target["target"])
            assert [one["end"] for one in history].count("done") == 1, history
            assert all(one.get("end") for one in history), history
            ends.update(one["end"] for one in history)
            seen += [i for one in history for i in one.get("observations", [])]
            addresses.update(target["targets"])
        assert len(seen) == len(set(seen)), "an observation counted twice"
        for ip in addresses:
            assert self.running.get(f"/v0/host/{ip}")["endpoints"], ip
        return ends

    def close(self) -> None:
        """End everything."""
        super().close()
        self.answering.close()


@contextlib.contextmanager
def yard(**variables: str) -> Generator[Yard]:
    """A mesh at work, until the block ends."""
    folder = roomy_folder()
    folder.chmod(0o755)  # PostgreSQL's own account has to pass where the tests run as root
    made = Yard(folder, **variables)
    try:
        made.running.start()
        yield made
    finally:
        made.close()


if __name__ == "__main__":
    Answering(int(sys.argv[1])).wait()
