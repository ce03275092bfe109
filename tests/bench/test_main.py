"""The benchmark itself: it runs to its end, its keys are stable, and it leaves nothing behind. No number is judged."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest

from spectra.bench import main
from spectra.errors import BadRequest
from tests.support.clusters import roomy_folder, seeded_running

# What scripts and the changelog compare over time: a key may be added, never renamed.
PROMISED = {
    "ingest_hosts_per_s",
    "ingest_baseline_hosts_per_s",
    "gate_verify_per_s",
    "parse_hosts_per_s",
    "visible_ms_p95",
    "search_ms_p95",
    "host_ms_p95",
    "facets_ms_p95",
    "facets8_ms_p95",
    "plan_ms_p95",
    "coverage_ms_p95",
    "diff_ms_p95",
    "enrich_lookups_per_s",
    "rss_mb",
    "db_bytes_per_host",
    "start_s",
}

DOCUMENTED = PROMISED | {
    "hosts",
    "hosts_per_envelope",
    "ingest_ratio",
    "visible_ms_p50",
    "search_ms_p50",
    "host_ms_p50",
    "plan8_ms_p95",
    "coverage8_ms_p95",
    "diff8_ms_p95",
    "enrich_baseline_lookups_per_s",
}


@pytest.mark.engine
@pytest.mark.slow
def test_a_run_measures_everything_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A small run through a real server gives every promised key a value, says where it is, and removes its folder. It
    prints exactly the documented keys in one object; `-o` keeps the same.
    """
    folder = roomy_folder()
    folder.chmod(0o755)  # the database's own account passes through
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(main, "running", seeded_running)
    told: list[str] = []

    result = main.run(300, batch=100, say=told.append)

    values: dict[str, float] = msgspec.structs.asdict(result)
    assert values.keys() >= PROMISED
    assert all(values[name] > 0 for name in PROMISED - {"rss_mb"})  # memory is read from /proc
    assert result.hosts == 300
    assert any("3/3 envelopes" in text for text in told)
    folder.rmdir()  # which only an empty folder lets happen

    kept = tmp_path / "result.json"
    assert main.printed(lambda say: result, as_json=True, output=kept) == 0
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    assert set(msgspec.json.decode(line, type=dict[str, float])) == DOCUMENTED
    assert kept.read_text() == line + "\n"
    assert err == "", "no progress where nobody looks"


class _Measured(msgspec.Struct):
    """What a benchmark may have found."""

    hosts: int = 1_000_000
    search_ms_p95: float = 41.5


def test_for_people_it_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each key."""
    assert main.printed(lambda say: _Measured(), as_json=False) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["hosts", "1,000,000"],
        ["search_ms_p95", "41.5"],
    ]


def test_a_file_that_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    """Not after minutes of measuring."""
    with pytest.raises(BadRequest, match="cannot be written"):
        main.main(100, as_json=True, output=tmp_path / "no" / "such" / "folder.json")
