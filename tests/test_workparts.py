"""Work as the settings ask for it; what cannot be read is told at the start, and nothing is handed out without it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from spectra.errors import SpectraError
from spectra.flow.work import Work
from spectra.settings import Settings, WorkSettings
from spectra.store.database import Database
from spectra.workparts import work_of
from tests.flow.conftest import database, embedded, migrated_template, store_server
from tests.flow.yards import NoSystems

__all__ = ["database", "embedded", "migrated_template", "store_server"]

pytestmark = pytest.mark.engine


def made(data_dir: Path, database: Database, **work: Any) -> Work | None:
    """The work of a coordinator with these settings."""
    settings = Settings(data_dir=data_dir, work=WorkSettings(**work))
    return work_of(settings, database, NoSystems(), clock=lambda: datetime.now(UTC))


def test_the_settings_are_followed(data_dir: Path, database: Database) -> None:
    """Terms, windows and presets."""
    folder = data_dir.parent / "mine"
    folder.mkdir()
    (folder / "mine.yaml").write_text("description: mine\ntools: [connect]\n")
    work = made(data_dir, database, lease_s=7, attempts=2, windows=["Sat,Sun"], presets=folder)
    assert work is not None
    assert (work.rules.terms.lease_s, work.rules.terms.attempts) == (7, 2)
    assert [window.text for window in work.rules.windows] == ["Sat,Sun"]
    assert "mine" in [preset.name for preset in work.presets()]
    assert made(data_dir, database, enabled=False) is None


def test_what_cannot_be_read_is_told_at_the_start(
    data_dir: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window, a preset, an entry of a do-not-scan list: each with where it stands."""
    with pytest.raises(SpectraError, match="'Foo'"):
        made(data_dir, database, windows=["Foo"])
    folder = data_dir.parent / "mine"
    folder.mkdir()
    (folder / "bad.yaml").write_text("tools: [fork]\n")
    with pytest.raises(SpectraError, match=r"bad\.yaml"):
        made(data_dir, database, presets=folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(data_dir.parent))
    (data_dir.parent / "spectra").mkdir()
    (data_dir.parent / "spectra" / "do-not-scan.txt").write_text("192.0.2.0/24\n1.2.3\n")
    with pytest.raises(SpectraError, match=r"do-not-scan\.txt:2"):
        made(data_dir, database)
    (data_dir.parent / "spectra" / "do-not-scan.txt").write_text("192.0.2.0/24\n")
    work = made(data_dir, database)
    assert work is not None
    assert work.law_for_machines().rules == ("192.0.2.0/24",)
