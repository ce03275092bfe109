"""The benchmark of models runs to its end on a small world, and its keys are stable. No number is judged."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from spectra.bench import ai
from spectra.bench.aiworld import World
from spectra.errors import BadRequest

pytestmark = pytest.mark.engine

# What scripts and the changelog compare over time: a key may be added, never renamed.
PROMISED = {
    "gateway_overhead_ms_p95",
    "retrieval_ms_p95",
    "summary_ms_p95",
    "cache_hit_ms_p95",
}


def test_a_run_measures_everything(world: World) -> None:
    """Every promised key; what is dead is waited for no longer than summaries may take."""
    told: list[str] = []
    values: dict[str, float] = msgspec.structs.asdict(ai.measured(world, 6, 1, told.append))
    assert values.keys() >= PROMISED
    assert all(values[name] > 0 for name in PROMISED)
    assert values["summary_ms_p95"] >= 3500
    assert (values["hosts"], values["cves"], values["requests"]) == (world.hosts, world.cves, 6)
    assert told


def test_without_feeds_it_says_what_to_do(tmp_path: Path) -> None:
    """At once."""
    with pytest.raises(BadRequest, match="There is no big/nvd_cves"):
        ai.run(100, folder=tmp_path)
