"""Alerts of one coordinator: put together quickly, begun and ended."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from spectra.alertparts import alerts_of
from spectra.settings import Settings
from spectra.store.database import Database


def test_nothing_is_connected_to_before_it_is_needed(tmp_path: Path) -> None:
    """A database that is not there is no trouble yet; what is told meanwhile is not lost on the way."""
    database = Database("postgresql://127.0.0.1:1/none", pool_size=2)
    alerts = alerts_of(Settings(data_dir=tmp_path), database, lambda: datetime.now(UTC))
    alerts.wake()
    alerts.refused("replay", "192.0.2.1", "again")
    assert alerts.services()["alerts"] is alerts
    assert len(alerts.jobs) == 1
    alerts.stop()
