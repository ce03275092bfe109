"""The benchmark of weaknesses: it runs to its end on a small corpus, its keys are stable, and it leaves nothing behind.

No number is judged.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from spectra.bench import vulns
from spectra.errors import BadRequest
from tests.bench import weaknesses
from tests.support.clusters import roomy_folder, seeded_scratch

pytestmark = pytest.mark.engine

# What scripts and the changelog compare over time: a key may be added, never renamed.
PROMISED = {
    "match_services_per_s",
    "full_reeval_s",
    "delta_reeval_ms_p95",
    "knn_ms_p95",
    "knn_recall",
    "fts_ms_p95",
    "feed_load_cves_per_s",
    "feed_load_s",
    "feed_ratio",
    "vectorize_s",
    "rss_mb",
}


@pytest.mark.slow
def test_a_run_measures_everything_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Through a real server, with every promised key; what it counts is what was sent, and its folder is gone."""
    weaknesses.fill(tmp_path)
    folder = roomy_folder()
    folder.chmod(0o755)  # the database's own account passes through
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(vulns, "scratch", seeded_scratch)
    told: list[str] = []

    result = vulns.run(400, folder=tmp_path, rounds=2, say=told.append)

    values: dict[str, float] = msgspec.structs.asdict(result)
    assert values.keys() >= PROMISED
    assert all(values[name] > 0 for name in PROMISED - {"rss_mb"})  # memory is read from /proc
    assert (result.feeds, result.cves, result.services) == (4, weaknesses.COUNT, 400)
    assert 200 <= result.software <= 400
    assert result.findings > 400
    assert result.knn_recall == 1.0, "few vectors are all looked at"
    assert result.delta_software > 0
    assert result.delta_findings > 0
    assert any("round 2/2" in text for text in told)
    folder.rmdir()  # which only an empty folder lets happen


def test_without_feeds_it_says_what_to_do(tmp_path: Path) -> None:
    """At once, and before anything is started; the command says the same."""
    with pytest.raises(BadRequest, match="There is no big/nvd_cves") as refused:
        vulns.run(100, folder=tmp_path)
    assert "--feeds" in refused.value.hint
    command = [sys.executable, "-m", "spectra", "bench", "--vulns", "--feeds", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "--feeds DIR" in done.stderr


def test_feeds_are_for_weaknesses_alone(tmp_path: Path) -> None:
    """Not ignored where they would not be loaded."""
    command = [sys.executable, "-m", "spectra", "bench", "--feeds", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--vulns" in done.stderr
