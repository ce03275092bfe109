"""How a machine reaches the coordinators of its mesh, over real TLS."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spectra.collect import coordinators as module
from spectra.collect.coordinators import Coordinators, is_final
from spectra.errors import SpectraError
from spectra.fabric.calls import Refused
from spectra.fabric.errors import MeshError, Unreachable
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity import results
from spectra.model.lawbook import LawBook
from spectra.model.nodes import Capabilities
from tests.collect.test_task import order
from tests.support.coordinator import Coordinator, coordinator, joined, serving

LEASE = "0" * 32
ABLE = Capabilities(cores=4, memory_mb=2000, arch="aarch64", os="Debian", software="0.1.0")


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator at work."""
    with serving(coordinator(tmp_path / "mesh")) as running:
        yield running


@pytest.fixture
def folder(mesh: Coordinator, tmp_path: Path) -> NodeFolder:
    """A node that joined."""
    return joined(mesh, tmp_path / "node")


@pytest.fixture
def other(mesh: Coordinator, tmp_path: Path) -> Iterator[Coordinator]:
    """A second one of the same mesh."""
    made = coordinator(tmp_path / "other")
    made.authority, made.members = mesh.authority, mesh.members
    made.server_files()
    with serving(made) as running:
        yield running


def bundle(folder: NodeFolder, mesh: Coordinator) -> bytes:
    """A result of this node."""
    wanted = order()
    said = results.build(lease=wanted.lease, target=1, attempt=1, node=folder.state.name, outcome="done", now=mesh.now)
    return results.bundle(results.sign(folder.signing_key, said))


def test_results_and_the_law(folder: NodeFolder, mesh: Coordinator) -> None:
    """A bundle goes from its file, from where that stands; the list comes with its entries unread."""
    coordinators = Coordinators(folder)
    data = bundle(folder, mesh)
    file = io.BytesIO(b"head" + data)
    file.seek(4)
    receipt = coordinators.submit(LEASE, file, len(data))
    assert (receipt.lease, receipt.status, receipt.duplicate) == (order().lease, "accepted", False)
    file.seek(4)
    assert coordinators.submit(LEASE, file, len(data)).duplicate
    mesh.law = LawBook(7, ("192.0.2.1",))
    told = coordinators.law()
    assert (told.version, bytes(told.rules)) == (7, b'["192.0.2.1"]')
    assert {one.who for one in mesh.asked if one.path.startswith("/v0/mesh/") and one.path != "/v0/mesh/nodes"} == {
        "board-1"
    }


def test_they_share_the_work(folder: NodeFolder, mesh: Coordinator, other: Coordinator) -> None:
    """Which one a lease goes to is the same on every machine, and after a restart; the law is our own's to tell."""
    Coordinators(folder).learn((mesh.url, other.url))
    coordinators = Coordinators(folder)
    first, second = sorted((mesh.url, other.url))
    assert coordinators.urls(f"{4:08x}" + "f" * 24) == [first, second]
    assert coordinators.urls(f"{7:08x}" + "0" * 24) == [second, first]
    assert coordinators.urls()[0] == mesh.url


def test_another_one_answers(
    folder: NodeFolder, mesh: Coordinator, other: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the first is away; it is asked last for a minute, and then first again."""
    coordinators = Coordinators(folder)
    coordinators.learn((mesh.url, other.url))
    first, second = sorted((mesh, other), key=lambda one: one.url)
    first.away.add("/v0/mesh/results")
    data = bundle(folder, mesh)
    for _ in range(2):
        assert coordinators.submit(LEASE, io.BytesIO(data), len(data)).lease == order().lease
    assert (len(first.results), len(second.results)) == (0, 1)
    assert [one.path for one in first.asked].count("/v0/mesh/results") == 1
    assert coordinators.urls(LEASE) == [second.url, first.url]
    monkeypatch.setattr(module.time, "monotonic", lambda: time.perf_counter() + 10**9)
    assert coordinators.urls(LEASE) == [first.url, second.url]


def test_a_refusal_is_an_answer(folder: NodeFolder, mesh: Coordinator, other: Coordinator) -> None:
    """Nobody else is asked."""
    coordinators = Coordinators(folder)
    coordinators.learn((other.url,))
    for one in (mesh, other):
        one.refusing[order().lease] = "out_of_scope"
    data = bundle(folder, mesh)
    with pytest.raises(Refused) as caught:
        coordinators.submit(LEASE, io.BytesIO(data), len(data))
    assert (caught.value.reason, is_final(caught.value)) == ("out_of_scope", True)
    assert [one.path for one in (*mesh.asked, *other.asked)].count("/v0/mesh/results") == 1


def test_none_answers(folder: NodeFolder, mesh: Coordinator) -> None:
    """What is told is what our own said; it may be tried again."""
    coordinators = Coordinators(folder)
    coordinators.learn(("https://127.0.0.1:1",))
    mesh.away.add("/v0/mesh/law")
    with pytest.raises(Unreachable, match="busy"):
        coordinators.law()


def test_a_stranger_is_not_believed(folder: NodeFolder, mesh: Coordinator, tmp_path: Path) -> None:
    """Another mesh's coordinator proves nothing by our roots, wherever it is said to be one of ours."""
    with serving(coordinator(tmp_path / "stranger")) as stranger:
        coordinators = Coordinators(folder)
        coordinators.learn((stranger.url,))
        mesh.away.add("/v0/mesh/results")
        data = bundle(folder, mesh)
        with pytest.raises(Unreachable):
            coordinators.submit(LEASE, io.BytesIO(data), len(data))
        assert not stranger.results


@pytest.mark.parametrize("urls", [(), ("http://127.0.0.1",), ("https://" + "x" * 300,), ("https://a",) * 17])
def test_what_is_no_list_of_places(folder: NodeFolder, urls: tuple[str, ...]) -> None:
    """It is passed over; a damaged file is none."""
    coordinators = Coordinators(folder)
    coordinators.learn(("https://127.0.0.1:1",))
    coordinators.learn(urls)
    assert set(Coordinators(folder).urls()) == {folder.state.api_url, "https://127.0.0.1:1"}
    (folder.path / "apis.json").write_text('["http://x"]')
    assert Coordinators(folder).urls() == [folder.state.api_url]


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (Refused("no", reason="out_of_scope", status=422), True),
        (Refused("no", reason="impostor", status=403), True),
        (Refused("too large", status=413), True),
        (Refused("unknown lease", reason="unknown_lease", status=404), True),
        (Refused("no such page", status=404), False),
        (Refused("no", reason="quarantined", status=403), False),
        (Refused("no", reason="revoked", status=403), False),
        (Refused("who", status=401), False),
        (Refused("no", reason="bad_signature", status=401), True),
        (Refused("oh", status=500), False),
        (Unreachable("away"), False),
        (MeshError("clock", reason="wrong_clock"), False),
    ],
)
def test_what_is_final(error: MeshError, final: bool) -> None:
    """A word on what is in the bundle; not one on who brings it, or when."""
    assert isinstance(error, SpectraError)
    assert is_final(error) is final
