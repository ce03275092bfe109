"""How the work is told to whoever looks at the machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from spectra.collect import agentstate
from spectra.collect.agentstate import AgentState
from spectra.collect.workstate import Scanning, WorkState

NOW = datetime(2025, 11, 1, tzinfo=UTC)


def test_it_is_part_of_what_an_agent_tells(tmp_path: Path) -> None:
    """And absent where a machine lends nothing, or an older agent wrote it."""
    state = AgentState(1, NOW, "board-1", "mesh-1")
    agentstate.write(tmp_path, state)
    assert agentstate.read(tmp_path) == state
    scanning = Scanning("a" * 32, 7, "192.0.2.0/24", "services", NOW, 0.5, 3)
    state.work = WorkState(slots=2, free=1, scanning=(scanning,), spooled=3, spooled_bytes=4000, law=9)
    agentstate.write(tmp_path, state)
    assert agentstate.read(tmp_path) == state
