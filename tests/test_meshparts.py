"""The mesh of one coordinator, put together: what a start makes and keeps, where it listens, and what a stop leaves."""

from __future__ import annotations

import contextlib
import shutil
import stat
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from spectra import app
from spectra.api.services import Services
from spectra.errors import SetupError
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity import x509
from spectra.listening import listening, port_of
from spectra.meshparts import mesh_listening
from spectra.model.registration import MeshStatus
from spectra.settings import ApiSettings, DatabaseSettings, MeshSettings, Settings
from spectra.store import nodes
from tests.support.postgres import database_url, embedded, reachable_folder
from tests.support.waiting import eventually

__all__ = ["database_url", "embedded"]

pytestmark = pytest.mark.engine


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder."""
    made = reachable_folder()
    yield made / "data"
    shutil.rmtree(made, ignore_errors=True)


def settings_of(folder: Path, url: str, **mesh: Any) -> Settings:
    """Of a coordinator on any free port."""
    return Settings(
        data_dir=folder,
        api=ApiSettings(port=0),
        database=DatabaseSettings(url=SecretStr(url), pool_size=4),
        mesh=MeshSettings(**mesh),
    )


@contextlib.contextmanager
def started(settings: Settings) -> Generator[tuple[Services, MeshStatus]]:
    """The engines with their mesh."""
    with (
        mesh_listening(settings) as machines,
        app.engines(settings, with_workflows=False, machines=machines) as services,
    ):
        assert services.mesh is not None
        yield services, services.mesh.status()


def test_a_restart_keeps_everything(folder: Path, database_url: str) -> None:
    """CA, name, certificate and, though they were picked by chance, every port; keys are for their owner alone."""
    settings = settings_of(folder, database_url)
    found: list[tuple[MeshStatus, str, str]] = []
    for _ in range(2):
        with started(settings) as (services, status):
            assert services.mesh is not None
            pin = services.mesh.authority().fingerprint
            found.append((status, pin, x509.fingerprint(NodeFolder(folder / "mesh" / "node").certificate)))
    assert found[0] == found[1]
    status = found[0][0]
    assert status.url.startswith("https://127.0.0.1:")
    assert status.nats.startswith("tls://127.0.0.1:")
    assert status.mqtt.startswith("mqtts://127.0.0.1:")
    for path in (folder / "ca", folder / "mesh" / "node"):
        secrets = [p for p in path.iterdir() if p.suffix in (".key", ".json", ".pem")]
        assert secrets
        assert {stat.S_IMODE(p.stat().st_mode) for p in secrets} == {0o600}


def test_the_coordinator_is_a_node_that_is_heard(folder: Path, database_url: str) -> None:
    """It says heartbeats of its own over the fabric; after a stop it has left."""
    with started(settings_of(folder, database_url)) as (services, status):
        eventually(lambda: nodes.get(services.database, status.node).presence == "alive", 60)
        record = nodes.get(services.database, status.node)
        assert (record.role, record.standing) == ("coordinator", "active")
    with started(settings_of(folder, database_url, fabric="off")) as (services, status):
        assert (status.nats, status.mqtt) == ("", "")
        assert nodes.get(services.database, status.node).presence == "left"


def test_several_run_on_one_machine(folder: Path, database_url: str, embedded: object) -> None:
    """With ports of 0: none is in another's way."""
    first, second = settings_of(folder, database_url), settings_of(folder / "second", database_url)
    with started(first) as (_, one), started(second) as (_, other):
        assert len({one.url, one.nats, one.mqtt, other.url, other.nats, other.mqtt}) == 6


def test_without_a_mesh_there_is_none(folder: Path, database_url: str) -> None:
    """Nothing listens and no CA is made."""
    settings = settings_of(folder, database_url, enabled=False)
    with mesh_listening(settings) as machines:
        assert machines is None
        with app.engines(settings, with_workflows=False, machines=machines) as services:
            assert services.mesh is None
    assert not (folder / "ca").exists()


def test_a_taken_port_is_said_before_any_engine(folder: Path, database_url: str) -> None:
    """With the setting that helps."""
    with listening("127.0.0.1", 0, hint="") as other:
        settings = settings_of(folder, database_url, port=port_of(other))
        with pytest.raises(SetupError, match=str(port_of(other))) as caught, mesh_listening(settings):
            pass
    assert "SPECTRA_MESH__PORT" in caught.value.hint
    assert not folder.exists() or not (folder / "ca").exists()


def test_the_mesh_of_another_name_is_not_taken_over(folder: Path, database_url: str) -> None:
    """The name is fixed by the first start: it stands in every certificate."""
    with started(settings_of(folder, database_url, name="mesh-one", node="hq", fabric="off")) as (_, status):
        assert (status.name, status.node) == ("mesh-one", "hq")
    with pytest.raises(SetupError, match="mesh-one"), started(settings_of(folder, database_url, name="mesh-two")):
        pass
