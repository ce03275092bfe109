"""The benchmark of the mesh runs to its end with few nodes, and its keys are stable. No number is judged."""

from __future__ import annotations

import tempfile

import msgspec
import pytest

from spectra.bench import mesh
from tests.support.clusters import roomy_folder, seeded_running

KEYS = {
    "join_s",
    "renewals_per_s",
    "revoke_effective_s",
    "nodes_simulated",
    "nodes_idle_cpu_share",
    "nodes_cpu_share",
    "nodes_busy_cpu_share",
    "nodes_rss_mb",
    "nodes_rss_grown_mb",
    "nodes_false_suspects",
    "nodes_false_deaths",
    "presence_suspect_s",
    "presence_detect_s",
    "presence_lost_s",
    "presence_back_s",
}


@pytest.mark.engine
@pytest.mark.slow
def test_a_small_run_measures_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real machines join, renew and are revoked, and simulated ones are heard; nothing is left behind."""
    folder = roomy_folder()
    folder.chmod(0o755)  # the database's own account passes through
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(mesh, "running", seeded_running)
    said: list[str] = []
    result = mesh.run(45, seconds=2.0, machines=2, renewals=4, say=said.append)
    found = msgspec.structs.asdict(result)
    assert set(found) == KEYS
    assert result.nodes_simulated == 45
    assert all(value >= 0 for name, value in found.items() if name != "nodes_rss_grown_mb")
    assert 0 < result.presence_suspect_s <= result.presence_detect_s
    assert said
    folder.rmdir()  # which only an empty folder lets happen
