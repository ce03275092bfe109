"""The report."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from spectra.bench.accuracy.main import main
from tests.bench.accuracy.feeds import fill


def test_the_report_tells_every_set_and_every_miss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By set, by case and by source, with the list of misses where that is asked for."""
    fill(tmp_path)
    assert main([str(tmp_path), "--misses"]) == 0
    said = capsys.readouterr().out
    assert "search_vulns, oldest labels" in said
    assert "as later versions of the labels have it" in said
    assert "by overrides: 1 found, 0 false" in said
    assert "missed CVE-2023-0003 of openssh as a:openbsd:openssh (its newest label has it no more)" in said
    assert "false CVE-2023-0002 (nvd, 0.95)" in said
    assert "'qwertz' is nginx:nginx, read as nothing" in said


def test_the_numbers_are_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For machines, nothing else on standard output."""
    fill(tmp_path)
    assert main([str(tmp_path), "--json"]) == 0
    numbers = msgspec.json.decode(capsys.readouterr().out)
    assert numbers["search_vulns, newest labels"]["labels"]["recall"] == 1.0


def test_a_folder_without_feeds_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what it looked for."""
    assert main([str(tmp_path)]) == 2
    assert "big/nvd_cves.jsonl.zst" in capsys.readouterr().err
