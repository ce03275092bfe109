"""The benchmark itself: it runs to its end, its keys are stable, and it leaves nothing behind. No number is judged."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest

from spectra.bench import main
from spectra.bench.hosts import address, nmap_xml

# What scripts and the changelog compare over time: a key may be added, never renamed.
PROMISED = {
    "ingest_hosts_per_s",
    "ingest_baseline_hosts_per_s",
    "gate_verify_per_s",
    "parse_hosts_per_s",
    "visible_ms_p95",
    "search_ms_p95",
    "host_ms_p95",
    "rss_mb",
    "db_bytes_per_host",
    "start_s",
}


@pytest.mark.engine
@pytest.mark.slow
def test_a_run_measures_everything_and_leaves_nothing() -> None:
    """A small run through a real server gives every promised key a value, says where it is, and removes its folder."""
    before = set(Path(tempfile.gettempdir()).glob("spectra-bench-*"))
    told: list[str] = []

    result = main.run(300, batch=100, say=told.append)

    values: dict[str, float] = msgspec.structs.asdict(result)
    assert values.keys() >= PROMISED
    assert all(values[name] > 0 for name in PROMISED - {"rss_mb"})  # memory is read from /proc
    assert result.hosts == 300
    assert any("3/3 envelopes" in text for text in told)
    assert set(Path(tempfile.gettempdir()).glob("spectra-bench-*")) <= before


@pytest.mark.parametrize("count", [1, 7])
def test_the_hosts_are_the_same_every_time(count: int) -> None:
    """Two runs measure the same bytes, and no two hosts share an address."""
    assert nmap_xml(5, count) == nmap_xml(5, count)
    assert len({address(n) for n in range(70_000)}) == 70_000
