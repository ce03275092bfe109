"""Raw originals and files of attempts in a real SeaweedFS: all that was acknowledged survives its SIGKILL."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Generator
from typing import Any

import httpx
import pytest

from tests.mesh.yard import Yard, yard
from tests.support import samples
from tests.support.waiting import eventually
from tests.support.weeds import KEY, SECRET, Weed, weed

pytestmark = [pytest.mark.engine, pytest.mark.fault, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Weed]:
    """SeaweedFS; skips where it is not installed."""
    with weed(tmp_path_factory.mktemp("weed") / "server") as running:
        yield running


@pytest.fixture(scope="module")
def mesh(server: Weed) -> Generator[Yard]:
    """A mesh whose blobs are there, with one machine that works."""
    variables = {
        "SPECTRA_BLOBS__URL": "s3://blobs/mesh",
        "SPECTRA_BLOBS__ENDPOINT": server.endpoint,
        "SPECTRA_BLOBS__ACCESS_KEY_ID": KEY,
        "SPECTRA_BLOBS__SECRET_ACCESS_KEY": SECRET,
    }
    with yard(**variables) as made:
        made.worker("board")
        yield made


def raw(mesh: Yard, observation: str) -> httpx.Response:
    """The answer to a question for an original."""
    with mesh.running.client() as client:
        return client.get(f"/v0/observations/{observation}/raw")


def files(mesh: Yard, job: str) -> list[dict[str, Any]]:
    """The files of a job's attempts, whose contents are what they are said to be."""
    found: list[dict[str, Any]] = mesh.running.get("/v0/artefacts", job=job)["artefacts"]
    for one in found:
        with mesh.running.client() as client:
            content = client.get(f"/v0/artefacts/{one['id']}/content")
        assert content.status_code == 200, content.text
        assert hashlib.sha256(content.content).hexdigest() == one["sha256"]
        assert len(content.content) == one["size"]
    return found


def test_what_was_acknowledged_survives_its_end(mesh: Yard, server: Weed) -> None:
    """An ingest and a job, SIGKILL of the store, both again meanwhile, and its return: nothing lost, nothing twice.

    1. originals and files are in SeaweedFS and nowhere else; 2. while it is away nothing is acknowledged, and what a
    machine has found waits in its spool; 3. afterwards all of it is there, and what was sent again is taken.
    """
    scan = samples.scan_of("203.0.113.5", 22, 443)
    accepted = mesh.running.submit(mesh.running.seal(scan))
    assert accepted.is_success, accepted.text
    observation = accepted.json()["observation_id"]
    job = mesh.ask("127.0.0.20", "127.0.0.21")
    mesh.until(job, 2)
    before = files(mesh, job)
    assert {one["target"] for one in before} == {one["target"] for one in mesh.targets(job)}
    assert raw(mesh, observation).content == scan
    assert not list((mesh.running.data_dir / "blobs").glob("sha256/*"))

    server.kill()
    envelope = mesh.running.seal(samples.scan_of("203.0.113.6", 80))
    refused = mesh.running.submit(envelope)
    assert refused.status_code == 503, refused.text
    assert refused.json()["type"].endswith("blob_store_away")
    assert raw(mesh, observation).status_code == 503
    meanwhile = mesh.ask("127.0.0.22", "127.0.0.23")
    spool = mesh.workers["board"].node.path / "spool"
    eventually(lambda: len(list(spool.glob("*.bundle"))) >= 1)
    assert mesh.done(meanwhile) == 0

    server.start()
    again = mesh.running.submit(envelope)
    assert again.is_success, again.text
    mesh.until(meanwhile, 2)
    mesh.ended_once(meanwhile)
    assert files(mesh, job) == before
    assert files(mesh, meanwhile)
    assert raw(mesh, observation).content == scan
    assert mesh.workers["board"].end(signal.SIGTERM) == 0
