"""Measuring look-ups: over all kinds of tables at once. No number is judged."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from spectra.bench import lookups
from spectra.intel.enrich.locator import Locator
from spectra.model.facts import NOWHERE


def test_rates_are_measured_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A small run gives three rates and removes its folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rates = lookups.enrich_lookups_per_s(addresses=2000, prefixes=2000)
    assert min(rates) > 0
    assert not list(tmp_path.iterdir())


def test_what_is_measured_is_found(tmp_path: Path) -> None:
    """Cities, systems with names and clouds are all among the answers: misses are quick, and prove nothing."""
    tables = list(lookups._tables(tmp_path, 20_000))
    assert {table.kind for table in tables} == {"geo", "asn", "as-names", "cloud"}
    assert len({table.provider for table in tables}) == 12  # eleven clouds, and none
    places = Locator(tables).locate(lookups._anywhere(5000) + lookups._near(5000))
    for field in ("city", "region", "latitude", "asn", "org", "cloud", "cloud_region"):
        assert any(getattr(place, field) for place in places), field
    assert sum(place != NOWHERE for place in places) > 1000


def test_clustered_addresses_are_neighbours() -> None:
    """As the hosts of a scan are; and as many as were asked for."""
    ips = lookups._near(1001)
    assert len(ips) == 1001
    assert len({ip.rpartition(".")[0] for ip in ips}) <= 5
