"""The benchmark of work runs to its end with few targets, and its keys are stable. No number is judged."""

from __future__ import annotations

import tempfile

import msgspec
import pytest

from spectra.bench import work
from tests.support.clusters import roomy_folder, seeded_scratch

KEYS = {
    "machines",
    "waiting",
    "lease_ms_p50",
    "lease_ms_p95",
    "tasks",
    "tasks_per_s",
    "lease_s",
    "redispatch_s",
    "redispatch_silence_s",
    "redispatch_pause_s",
    "resume_after_kill_s",
    "resume_start_s",
    "spooled",
    "spool_drain_per_s",
}


@pytest.mark.engine
@pytest.mark.slow
def test_a_small_run_measures_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real machines work, one is killed, then the coordinator, and what was spooled is brought; nothing is left."""
    folder = roomy_folder()
    folder.chmod(0o755)  # the database's own account passes through
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(work, "scratch", seeded_scratch)
    said: list[str] = []
    result = work.run(8, waiting=500, machines=2, slots=2, spooling=3, lease_s=6.0, say=said.append)
    found = msgspec.structs.asdict(result)
    assert set(found) == KEYS
    assert all(value > 0 for name, value in found.items() if name != "redispatch_pause_s")
    assert 1 <= result.spooled <= 6
    assert said
    folder.rmdir()  # which only an empty folder lets happen
