"""From what a task left to a signed bundle: what is signed, by whom, and what is not believed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from spectra.collect import bundle
from spectra.collect.bundle import Sealing, built, seal
from spectra.collect.spool import HEAD_BYTES
from spectra.collect.taskmessages import ArtefactFile, Executed, OutputFile
from spectra.errors import SetupError
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.identity import dsse, payload, results
from spectra.model.envelope import Privacy, sha256_hex
from spectra.model.results import Bundle, Result
from spectra.model.work import Stats
from tests.collect.test_task import QUICK, order

NOW = datetime(2025, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def node(tmp_path: Path) -> NodeFolder:
    """A node with its keys."""
    folder = NodeFolder(tmp_path / "node")
    folder.make_keys()
    folder.write_state(
        NodeState("mesh-1", "board-1", "worker", "spiffe://mesh-1/node/board-1", "https://c", "https://c")
    )
    return folder


def sealing(node: NodeFolder, tmp_path: Path, executed: Executed, most: int = 10_000_000) -> Sealing:
    """What there is to seal, of a task that ran as this user."""
    files = tmp_path / "task"
    files.mkdir(exist_ok=True)
    uid = files.stat().st_uid
    return Sealing(str(node.path), str(files), order(), executed, uid, most, str(tmp_path / "draft"))


def output(name: str = "output-0", **changes: Any) -> OutputFile:
    """An output of a task."""
    return OutputFile(file=name, tool="nmap", tool_version="7.93", started=NOW, finished=NOW, **changes)


def opened(data: bytes, node: NodeFolder) -> tuple[Bundle, Result]:
    """A bundle, and the result in it, verified."""
    found = results.open_bundle(data)
    return found, results.verify(results.open_result(bytes(found.result)), node.signing_key.public)


def test_what_is_signed(node: NodeFolder, tmp_path: Path) -> None:
    """The output as it is, in an observation by this node; the log beside it; the result names both."""
    executed = Executed(
        outcome="done",
        reason="",
        message="a\nb\x00c",
        tool="nmap\x07",
        tool_version="7.93",
        outputs=(output(scan_type="tcp-syn"), output("empty")),
        artefacts=(ArtefactFile("log", "log.txt"),),
        stats=Stats(found=2, output_bytes=99),
    )
    wanted = sealing(node, tmp_path, executed)
    (tmp_path / "task" / "output-0").write_bytes(b"<nmaprun/>")
    (tmp_path / "task" / "empty").write_bytes(b" \n")
    (tmp_path / "task" / "log.txt").write_text("a line\n")
    data = built(wanted, node.signing_key, "board-1", NOW)
    found, said = opened(data, node)
    (envelope,) = found.observations
    inner = dsse.decode(bytes(envelope))
    assert dsse.verify(node.signing_key.public, inner.signatures[0].sig, inner.payload)
    observed = payload.decode(inner.payload)
    assert said.observations == (payload.observation_id(inner.payload),)
    assert zstandard.ZstdDecompressor().decompress(observed.output.data, 1000) == b"<nmaprun/>"
    assert (observed.contributor, observed.scan_id, observed.source) == ("node-board-1", "scan-1", "127.0.0.1")
    assert (observed.tool, observed.scan_type, observed.privacy) == ("nmap", "tcp-syn", Privacy.FULL)
    assert (said.lease, said.target, said.attempt, said.node, said.issued) == ("a" * 32, 1, 1, "board-1", NOW)
    assert (said.outcome, said.message, said.tool, said.stats.found) == ("done", "a b c", "nmap", 2)
    assert said.stats.output_bytes == len(b"<nmaprun/> \na line\n")
    (claim,) = said.artefacts
    assert (claim.kind, claim.name, claim.sha256) == ("log", "log.txt", sha256_hex(b"a line\n"))
    assert found.artefacts[0].sha256 == claim.sha256


def test_privacy_is_the_orders(node: NodeFolder, tmp_path: Path) -> None:
    """Not the task's to say."""
    wanted = sealing(node, tmp_path, Executed(outcome="done", outputs=(output(),)))
    preset = msgspec.structs.replace(QUICK, privacy=Privacy.META_ONLY)
    wanted = msgspec.structs.replace(wanted, order=order(preset=preset))
    (tmp_path / "task" / "output-0").write_bytes(b"x")
    found, _ = opened(built(wanted, node.signing_key, "board-1", NOW), node)
    observed = payload.decode(dsse.decode(bytes(found.observations[0])).payload)
    assert observed.privacy is Privacy.META_ONLY


@pytest.mark.parametrize("large", [False, True])
def test_where_it_is_sealed(node: NodeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    """In this process, or for large outputs in one of its own; the file is the spool's either way."""
    monkeypatch.setattr(bundle, "HERE_BYTES", 0 if large else 10_000)
    wanted = sealing(node, tmp_path, Executed(outcome="done", outputs=(output(),)))
    (tmp_path / "task" / "output-0").write_bytes(b"x" * 5000)
    seal(wanted)
    _, said = opened((tmp_path / "draft").read_bytes()[HEAD_BYTES:], node)
    assert (said.outcome, len(said.observations)) == ("done", 1)


@pytest.mark.parametrize("large", [False, True])
def test_a_lie_is_not_signed(node: NodeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    """A link to our key, a file that is not there, more than there may be."""
    monkeypatch.setattr(bundle, "HERE_BYTES", -1 if large else 10**9)
    wanted = sealing(node, tmp_path, Executed(outcome="done", outputs=(output(),)), most=100)
    place = tmp_path / "task" / "output-0"
    with pytest.raises(SetupError, match="output-0"):
        seal(wanted)
    place.symlink_to(node.path / "signing.pem")
    with pytest.raises(SetupError, match="output-0"):
        seal(wanted)
    place.unlink()
    place.write_bytes(b"x" * 101)
    with pytest.raises(SetupError, match="more than"):
        seal(wanted)
    assert not (tmp_path / "draft").exists()


def test_all_files_together_are_bounded(node: NodeFolder, tmp_path: Path) -> None:
    """What one has taken is not there for the next."""
    executed = Executed(outcome="done", outputs=(output("a"), output("b")))
    wanted = sealing(node, tmp_path, executed, most=100)
    for name in ("a", "b"):
        (tmp_path / "task" / name).write_bytes(b"x" * 60)
    with pytest.raises(SetupError, match="b has more than 40"):
        built(wanted, node.signing_key, "board-1", NOW)
