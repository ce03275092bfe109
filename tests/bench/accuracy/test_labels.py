"""Labels in the formats in which others publish them."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectra.bench.accuracy import labels
from tests.bench.accuracy.feeds import SSH, fill


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of labels."""
    fill(tmp_path)
    return tmp_path / "labels"


def test_each_test_has_an_oldest_and_a_newest_version(folder: Path) -> None:
    """By date, in whatever order they stand; the others say what any version has."""
    (old,), (new,) = labels.cases(folder, "oldest"), labels.cases(folder, "newest")
    assert (old.as_of, new.as_of) == ("2024-01-01", "2024-06-01")
    assert old.expected == {"CVE-2023-0001", "CVE-2023-0003", "CVE-2023-9999"}
    assert "CVE-2023-0002" in old.accepted
    assert old.disowned == {"CVE-2023-0003", "CVE-2023-9999"}
    assert new.disowned == frozenset()
    assert old.service.cpe == (SSH,)


def test_builds_are_open_or_repaired(folder: Path) -> None:
    """The upstream weakness is there in both; a query in words is a product."""
    (build,) = labels.builds(folder)
    assert build.expected == {"CVE-2023-0001", "CVE-2023-0002", "CVE-2023-0005"}
    assert build.service.product == "OpenSSH 9.2p1 Debian 12"


def test_matches_and_banners_are_read(folder: Path) -> None:
    """Grype's by package, recog's as a scanner's record would be read."""
    (case,) = labels.grype(folder)
    assert case.expected == {"CVE-2023-0001"}
    first, second = labels.named(folder)
    assert (first.vendor, first.product, first.version) == ("nginx", "nginx", "1.18.0")
    assert first.service.product == "nginx"
    assert second.service.product == "qwertz"


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    """A folder without labels has no cases."""
    assert labels.cases(tmp_path, "newest") == labels.builds(tmp_path) == labels.grype(tmp_path) == []
    assert labels.avain(tmp_path) == list(labels.named(tmp_path)) == []
