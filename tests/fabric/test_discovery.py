"""Meshes in the neighbourhood: announced and heard over real multicast on loopback, and what strangers announce.

Other tests may announce on the same loopback at the same time, so every mesh here has a name of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from zeroconf import ServiceInfo, Zeroconf

from spectra.fabric.discovery import MAX_FOUND, PREFIX_CHARS, SERVICE, Found, announce, browse, is_wanted
from spectra.fabric.errors import MeshError
from spectra.identity.names import new_mesh, new_name
from tests.support.waiting import eventually

LOOPBACK = ("127.0.0.1",)
PRINT = "0123456789abcdef" * 4


@pytest.fixture
def mesh() -> str:
    """The name of a mesh that nobody else announces."""
    return new_mesh()


@pytest.fixture
def stranger() -> Iterator[Zeroconf]:
    """Somebody on the network who announces what he likes."""
    zeroconf = Zeroconf(interfaces=list(LOOPBACK), use_asyncio=False)
    yield zeroconf
    zeroconf.close()


def said(zeroconf: Zeroconf, name: str, properties: dict[str, str], port: int = 8766) -> None:
    """Announce without asking whether the name is free."""
    packed = [ip_address("127.0.0.1").packed]
    info = ServiceInfo(
        SERVICE, f"{name}.{SERVICE}", addresses=packed, port=port, properties=properties, server="x.local."
    )
    zeroconf.register_service(info, cooperating_responders=True)


def heard(mesh: str) -> list[Found]:
    """What is announced as `mesh` now."""
    return [one for one in browse(0.5, LOOPBACK) if one.mesh == mesh]


def test_a_mesh_is_announced_and_heard(mesh: str) -> None:
    """Its names, where its listener is, how its root begins; never more of the fingerprint, which a token pins.

    A coordinator that stops says good-bye, and a second one of the same name is told instead of taking its place.
    """
    name = new_name("coordinator")
    with announce(mesh, name, 8766, PRINT, addresses=LOOPBACK) as announcement:
        (found,) = eventually(lambda: heard(mesh))
        with pytest.raises(MeshError) as told:
            announce(mesh, name, 9999, PRINT, addresses=LOOPBACK)
        announcement.close()
        assert heard(mesh) == []
    assert found == Found(mesh, name, ("https://127.0.0.1:8766",), PRINT[:PREFIX_CHARS])
    assert told.value.reason == "discovery"


def test_what_strangers_announce_is_checked(stranger: Zeroconf, mesh: str) -> None:
    """An announcement that is not one of a mesh, or holds what acts on a terminal, is not shown."""
    good = {"mesh": mesh, "fp": PRINT[:PREFIX_CHARS]}
    ids = iter(range(10))
    for wrong in ({"mesh": "lab\x1b[31m"}, {"mesh": ""}, {"fp": ""}, {"fp": PRINT}, {"fp": "Z" * PREFIX_CHARS}):
        said(stranger, f"{mesh}-{next(ids)}", good | wrong)
    said(stranger, f"{mesh} {next(ids)}", good)
    said(stranger, f"{mesh}-{next(ids)}", good, port=0)
    said(stranger, f"{mesh}-good", good)
    assert [one.name for one in eventually(lambda: heard(mesh))] == [f"{mesh}-good"]


def test_enough_is_enough(stranger: Zeroconf, mesh: str) -> None:
    """Whoever knows how many there are does not wait for more."""
    said(stranger, f"{mesh}-1", {"mesh": mesh, "fp": PRINT[:PREFIX_CHARS]})
    assert 1 <= len(browse(120.0, LOOPBACK, enough=1)) <= MAX_FOUND


def test_no_such_interface() -> None:
    """The message says that the network is the matter."""
    with pytest.raises(MeshError, match="multicast DNS does not work here"):
        browse(0.1, ["203.0.113.7"])


@pytest.mark.parametrize(
    ("setting", "host", "wanted"),
    [
        (True, "127.0.0.1", False),
        (True, "::1", False),
        (True, "localhost", False),
        (True, "192.0.2.7", True),
        (True, "0.0.0.0", True),
        (True, "mesh.example.org", True),
        (False, "192.0.2.7", False),
    ],
)
def test_loopback_is_not_announced(setting: bool, host: str, wanted: bool) -> None:
    """Nobody else reaches a listener on loopback."""
    assert is_wanted(setting, host) is wanted
