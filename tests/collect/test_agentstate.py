"""What an agent tells of itself: written whole, without secrets, and never a reason to end."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from spectra.collect import agentstate
from spectra.collect.agentstate import AgentState

STATE = AgentState(7, datetime(2025, 11, 1, tzinfo=UTC), "board-1", "lab", connected=True, place="mqtts://x:1")


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    """And replaced by the next."""
    agentstate.write(tmp_path, STATE)
    assert agentstate.read(tmp_path) == STATE
    later = AgentState(8, STATE.started, "board-1", "lab", ended="revoked")
    agentstate.write(tmp_path, later)
    assert agentstate.read(tmp_path) == later
    assert [path.name for path in tmp_path.iterdir()] == [agentstate.FILE]


def test_none_and_damaged_ones(tmp_path: Path) -> None:
    """Nobody ever ran here, or the disk ate it: there is nothing to tell."""
    assert agentstate.read(tmp_path / "nowhere") is None
    for damaged in (b"", b"{", b'{"pid": "x"}', b"[" * 100_000):
        (tmp_path / agentstate.FILE).write_bytes(damaged)
        assert agentstate.read(tmp_path) is None


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    """An agent goes on without telling."""
    agentstate.write(tmp_path / "nowhere", STATE)
    (tmp_path / agentstate.FILE).mkdir()
    (tmp_path / agentstate.FILE / "x").touch()
    agentstate.write(tmp_path, STATE)
