"""Hashes of what runs on this machine."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

import spectra
from spectra.collect import measuring
from spectra.collect.measuring import configuration_of, measure, of_folder, running
from spectra.errors import SetupError
from spectra.settings import AuthSettings, DatabaseSettings, NodeSettings, ScanSettings, Settings

CONFIGURATION = "c0" * 32


@pytest.fixture
def fresh() -> Iterator[None]:
    """A process that has measured nothing yet, before and after."""
    running.cache_clear()
    yield
    running.cache_clear()


def test_what_runs_is_measured_the_same_each_time() -> None:
    """Two measurements are equal, and name the versions that run."""
    found = measure(CONFIGURATION)
    assert measure(CONFIGURATION) == found
    assert found.configuration == CONFIGURATION
    assert found.software == spectra.__version__
    assert found.python.startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert found.interpreter == hashlib.sha256(Path(sys.executable).resolve().read_bytes()).hexdigest()


def test_a_file_of_the_program_shows(tmp_path: Path) -> None:
    """One that is changed, added, renamed or taken away changes the hash; what Python compiled does not."""
    (tmp_path / "__init__.py").write_text("one = 1\n")
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "two.py").write_text("two = 2\n")
    seen = [of_folder(tmp_path)]
    (tmp_path / "room" / "__pycache__").mkdir()
    (tmp_path / "room" / "__pycache__" / "two.cpython-311.pyc").write_bytes(b"\0")
    assert of_folder(tmp_path) == seen[0]
    for change in (
        lambda: (tmp_path / "room" / "two.py").write_text("two = 3\n"),
        lambda: (tmp_path / "room" / "two.py").rename(tmp_path / "two.py"),
        lambda: (tmp_path / "more.sql").write_text(""),
        (tmp_path / "two.py").unlink,
    ):
        change()
        seen.append(of_folder(tmp_path))
    assert len(set(seen)) == len(seen)


def test_an_upgrade_meanwhile_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    """A process that runs since before goes on to say what it runs: its version is of then, too."""
    (tmp_path / "__init__.py").write_text("one = 1\n")
    monkeypatch.setattr(measuring.spectra, "__file__", str(tmp_path / "__init__.py"))
    before = measure(CONFIGURATION)
    assert before.binary == of_folder(tmp_path)
    (tmp_path / "__init__.py").write_text("one = 2\n")
    assert measure(CONFIGURATION) == before


def test_the_settings_in_force_show(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a setting comes from it counts the same; where files are kept and what is secret does not count."""
    plain = configuration_of(Settings())
    wide = configuration_of(Settings(scan=ScanSettings(allow=["10.0.0.0/8"])))
    assert wide != plain
    monkeypatch.setenv("SPECTRA_SCAN__ALLOW", '["10.0.0.0/8"]')
    assert configuration_of(Settings()) == wide
    monkeypatch.delenv("SPECTRA_SCAN__ALLOW")
    other = Settings(data_dir=data_dir / "else", server="http://127.0.0.1:1", node=NodeSettings(region="eu-west"))
    assert configuration_of(other) == plain
    one, two = (DatabaseSettings(url=SecretStr(f"postgresql://user:{word}@db/x")) for word in ("one", "two"))
    assert configuration_of(Settings(database=one)) == configuration_of(Settings(database=two))
    assert configuration_of(Settings(auth=AuthSettings(access_ttl_s=60))) != plain


def test_what_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    """An interpreter that is gone is told, not measured as nothing."""
    monkeypatch.setattr(measuring, "_RUNNING", tmp_path / "none")
    monkeypatch.setattr(measuring.sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(SetupError, match="cannot read"):
        measure(CONFIGURATION)
