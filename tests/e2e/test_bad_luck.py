"""Engines that fail under load: full disks, killed databases, killed coordinators. Each client is told; nothing that
was acknowledged is lost, and what was not can be sent again.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from spectra.model.envelope import sha256_hex
from tests.e2e.witness import Witness, is_problem
from tests.support import samples
from tests.support.postgres import reachable_folder
from tests.support.running import Running, first_spectra, spectra
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.engine, pytest.mark.fault, pytest.mark.slow]

FAST, DURABLE = "/v0/mesh/ingest", "/v0/ingest"
MIB = 1024 * 1024


def observation_id(envelope: bytes) -> str:
    """SHA-256 of what was signed."""
    return sha256_hex(base64.b64decode(json.loads(envelope)["payload"]))


# --- full disks ---


class Disk:
    """A small file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Use up every byte that is free."""
        with self._filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)

    def free(self) -> None:
        """Have room again."""
        self._filler.unlink(missing_ok=True)

    def files(self) -> set[Path]:
        """What else is on it."""
        return {p for p in self.folder.rglob("*") if p.is_file() and p != self._filler}


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[Disk]:
    """A tmpfs of as many MiB as the test says; skips where none may be mounted."""
    folder = reachable_folder()
    options = f"size={request.param}m,mode=0755"
    mounting = ["mount", "-t", "tmpfs", "-o", options, "spectra-test", str(folder)]
    try:
        done = subprocess.run(mounting, capture_output=True, text=True, check=False, timeout=30)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)
        folder.rmdir()


@pytest.mark.parametrize("disk", [4], indirect=True)
@pytest.mark.parametrize("path", [FAST, DURABLE])
def test_a_full_disk_of_blobs(disk: Disk, path: str) -> None:
    """507 or 503 that says so and what to do; nothing of it is stored anywhere; with room, the very same works."""
    with spectra(SPECTRA_BLOBS__URL=f"file://{disk.folder}/blobs") as running:
        witness = Witness(running.start())
        witness.check()
        ip = samples.address()
        envelope = witness.seal(samples.scan_of(ip, 80))
        chain, files = running.get("/v0/provenance"), disk.files()
        disk.fill()
        for _ in range(2):
            response = witness.submit(envelope, path)
            assert "disk" in str(is_problem(response, 503, 507)).lower()
            assert int(response.headers["retry-after"]) >= 1
        assert running.get("/v0/provenance") == chain
        assert running.found(f"ip:{ip}") == []
        with running.client() as client:
            is_problem(client.get(f"/v0/observations/{observation_id(envelope)}"), 404)
        assert disk.files() == files
        witness.all_there()
        disk.free()
        response = witness.submit(envelope, path)
        assert response.status_code == (200 if path == FAST else 202)
        assert not response.json().get("duplicate")
        witness.keep(ip, response.json()["observation_id"])
        eventually(lambda: running.found(f"ip:{ip}"))
        witness.check()
        witness.sound()


def large(witness: Witness) -> tuple[str, bytes]:
    """An address, and an envelope of it and 199 more hosts that share nothing."""
    addresses = [samples.address() for _ in range(200)]
    hosts = [samples.nmap_host(ip, 80, 443, product=f"product {os.urandom(8).hex()}") for ip in addresses]
    return addresses[0], witness.seal(samples.nmap(*hosts))


@pytest.mark.parametrize("disk", [192], indirect=True)
def test_a_full_disk_under_everything(disk: Disk) -> None:
    """Database, log and blobs on it: each submission is acknowledged or refused, and once there is room it goes on."""
    with (
        tempfile.TemporaryDirectory() as elsewhere,
        first_spectra(disk.folder, SPECTRA_GATE__RATE_PER_MINUTE="0") as running,
    ):
        running.log = Path(elsewhere) / "log"
        witness = Witness(running.start())
        witness.check()
        disk.fill()
        refused: list[tuple[str, bytes]] = []
        for _ in range(100):
            ip, envelope = large(witness)
            response = witness.submit(envelope)
            if response.status_code == 200:
                witness.keep(ip, response.json()["observation_id"])
                continue
            is_problem(response, 503, 507)
            refused.append((ip, envelope))
            if len(refused) == 3:
                break
        assert refused, "the disk never became full"
        disk.free()
        for ip, envelope in refused:
            response = eventually(lambda e=envelope: r if (r := witness.submit(e)).status_code == 200 else None, 120)
            assert response is not None
            witness.keep(ip, response.json()["observation_id"])
        witness.check()
        witness.sound()
        assert running.end() == 0


# --- engines that die ---


def outcomes(running: Running, envelopes: Sequence[tuple[str, bytes]], disturb: Callable[[], None]) -> list[int]:
    """The status of each (path, envelope), sent by four clients while `disturb` does its worst; 0: no answer."""
    url, token = running.url, running.credential.token

    def send(item: tuple[str, bytes]) -> int:
        path, envelope = item
        try:
            response = httpx.post(
                f"{url}{path}",
                content=envelope,
                headers={"authorization": f"Bearer {token}"},
                timeout=120,
                trust_env=False,
                verify=False,
            )
        except httpx.TransportError:
            return 0
        if response.status_code not in (200, 202):
            is_problem(response, 503)
            assert int(response.headers["retry-after"]) >= 1
        return response.status_code

    with ThreadPoolExecutor(5) as pool:
        disturbing: Future[None] = pool.submit(disturb)
        statuses = list(pool.map(send, envelopes))
        disturbing.result()
    return statuses


def submissions(witness: Witness, count: int) -> list[tuple[str, str, bytes]]:
    """(address, path, envelope) of `count` hosts, on both paths in turn."""
    made: list[tuple[str, str, bytes]] = []
    for number in range(count):
        ip = samples.address()
        made.append((ip, (FAST, DURABLE)[number % 2], witness.seal(samples.scan_of(ip, 22, 80))))
    return made


def settle(witness: Witness, sent: Sequence[tuple[str, str, bytes]], statuses: Sequence[int]) -> None:
    """What was not acknowledged is sent again; then all of it is one observation each, merged."""
    running = witness.running
    before_again = {observation_id(e) for (_, _, e), s in zip(sent, statuses, strict=True) if s in (200, 202)}
    for observation in before_again:
        running.get(f"/v0/observations/{observation}")
    for _, path, envelope in sent:
        again = witness.submit(envelope, path)
        assert again.status_code in (200, 202), again.text
        if observation_id(envelope) in before_again:
            assert again.json()["duplicate"]

    def merged(envelope: bytes) -> bool:
        return running.get(f"/v0/observations/{observation_id(envelope)}")["status"] == "merged"

    for ip, _, envelope in sent:
        eventually(lambda e=envelope: merged(e), within_s=120)
        witness.keep(ip, observation_id(envelope))
    assert running.get("/v0/status")["counts"]["observations"] == len(set(witness.kept.values()))
    for ip, _, _ in sent:
        host = running.get(f"/v0/host/{ip}", history="true")
        assert len(host["sightings"]) == 1, "seen once, however often it was sent"


def test_postgresql_killed_under_load(running: Running, witness: Witness) -> None:
    """Three times, in the middle of requests: every client is answered, with a receipt or with 503."""
    witness.check()
    sent = submissions(witness, 60)

    def disturb() -> None:
        for _ in range(3):
            postmaster = running.postmaster
            os.kill(postmaster, signal.SIGKILL)
            eventually(lambda old=postmaster: is_back(running, old))

    statuses = outcomes(running, [(path, envelope) for _, path, envelope in sent], disturb)
    assert 0 not in statuses, "silence"
    settle(witness, sent, statuses)
    assert running.get("/v0/status")["database"]["restarts"] == 3
    witness.check()


def is_back(running: Running, old: int) -> bool:
    """Whether another server than `old` answers."""
    try:
        if running.postmaster == old:
            return False
    except (FileNotFoundError, IndexError):
        return False
    return httpx.get(f"{running.url}/health/ready", timeout=60, trust_env=False, verify=False).status_code == 200


def test_a_connection_that_is_cut(running: Running, witness: Witness) -> None:
    """A single back end killed: PostgreSQL restarts all of them, and the request in flight is answered all the same."""
    sent = submissions(witness, 20)

    def disturb() -> None:
        postmaster = running.postmaster
        others = [pid for pid in running.postgres if pid != postmaster]
        with contextlib.suppress(ProcessLookupError):
            os.kill(others[-1], signal.SIGKILL)

    statuses = outcomes(running, [(path, envelope) for _, path, envelope in sent], disturb)
    assert 0 not in statuses
    settle(witness, sent, statuses)
    witness.check()


@pytest.mark.parametrize("with_database", [False, True], ids=["coordinator", "coordinator and database"])
def test_killed_under_load(running: Running, witness: Witness, *, with_database: bool) -> None:
    """Whoever got a receipt finds it after the restart; the others send the same again."""
    witness.check()
    sent = submissions(witness, 40)

    def disturb() -> None:
        eventually(lambda: running.get("/v0/status")["counts"]["observations"] > len(set(witness.kept.values())) + 3)
        if with_database:
            os.kill(running.postmaster, signal.SIGKILL)
        running.end(signal.SIGKILL)

    statuses = outcomes(running, [(path, envelope) for _, path, envelope in sent], disturb)
    running.start()
    settle(witness, sent, statuses)
    witness.check()
