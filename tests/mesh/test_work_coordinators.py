"""Three coordinators on one database share the work; one is killed, and the others finish what it had begun."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from spectra.engines.layout import Layout
from tests.mesh.yard import Yard, yard
from tests.support.running import Running

pytestmark = [pytest.mark.engine, pytest.mark.fault, pytest.mark.slow]


def _further(ground: Yard, name: str) -> Running:
    """A coordinator on the database, the blobs, the CA and the fabric of the first."""
    first = ground.running
    mesh = first.get("/v0/status")["mesh"]
    work = {k: v for k, v in first.environment.items() if k.startswith("SPECTRA_WORK__")}
    made = Running(
        first.folder.parent / name,
        HOME=str(first.folder.parent / name),
        SPECTRA_DATABASE__URL=f"postgresql://spectra@/spectra?host={Layout.of(first.data_dir).sockets}&port=5432",
        SPECTRA_BLOBS__URL=f"file://{first.data_dir}/blobs",
        SPECTRA_MESH__FABRIC="external",
        SPECTRA_MESH__FABRIC_URL=mesh["nats"],
        SPECTRA_MESH__NODE=name,
        **work,
    )
    made.data_dir.mkdir(parents=True, mode=0o700)
    shutil.copytree(first.data_dir / "ca", made.data_dir / "ca")
    return made.start()


@pytest.fixture(scope="module")
def ground() -> Generator[Yard]:
    """One coordinator, which has the database and the fabric, and three workers of it."""
    with yard() as made:
        for name in ("p1", "p2", "p3"):
            made.worker(name)
        yield made


def test_one_of_three_is_killed(ground: Yard) -> None:
    """All hand targets out and take results; what the dead one was at is finished by the others, each target once."""
    with ExitStack() as stack:
        second, third = _further(ground, "second"), _further(ground, "third")
        for one in (second, third):
            stack.callback(one.clean_up)
        job = ground.ask("127.9.6.1-75")
        ground.until(job, 25)
        shares = {running: running.logged.count("/v0/mesh/results") for running in (ground.running, second, third)}
        assert all(shares.values()), shares
        assert second.end(signal.SIGKILL) == -signal.SIGKILL
        ground.until(job, 75, within_s=200)
        ends = ground.ended_once(job)
        assert ends["done"] == 75
        assert third.end() == 0
