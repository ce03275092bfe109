"""The commands of real servers for the lab: none where a server is not installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spectra.bench.labreal import REAL


def nowhere(_: str) -> None:
    """No program is installed."""


@pytest.mark.parametrize("name", sorted(REAL))
def test_a_command_names_its_address_and_port(name: str, tmp_path: Path) -> None:
    """On the command line, or in the file that it is told to read."""
    command = REAL[name]("127.0.0.9", 4321, tmp_path)
    if command is None:
        pytest.skip(f"{name} is not installed")
    told = " ".join(command) + " ".join(
        path.read_text("latin-1") for path in tmp_path.iterdir() if path.suffix == ".conf"
    )
    assert "127.0.0.9" in told
    assert "4321" in told
    assert Path(command[0]).is_absolute() or shutil.which(command[0])


@pytest.mark.parametrize("name", sorted(REAL.keys() - {"python-http"}))
def test_what_is_not_installed_is_left_out(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command, no file."""
    monkeypatch.setattr(shutil, "which", nowhere)
    assert REAL[name]("127.0.0.9", 4321, tmp_path) is None
    assert list(tmp_path.iterdir()) == []
