"""Scores and their words."""

from __future__ import annotations

import pytest

from spectra.intel.vulns import cvss
from spectra.model.vulns import Metric


@pytest.mark.parametrize(
    ("version", "score", "expected"),
    [
        ("2.0", 0.0, "low"),
        ("2.0", 3.9, "low"),
        ("2.0", 4.0, "medium"),
        ("2.0", 10.0, "high"),
        ("3.1", 0.0, "none"),
        ("3.1", 0.1, "low"),
        ("3.0", 6.9, "medium"),
        ("3.1", 7.0, "high"),
        ("4.0", 9.0, "critical"),
    ],
)
def test_a_score_without_a_word_gets_its_version_s(version: str, score: float, expected: str) -> None:
    """CVSS 2 has no critical, and the NVD no none for it."""
    assert cvss.severity(version, score) == expected


def test_a_metric_keeps_what_is_said() -> None:
    """The source's own word counts, in lower case."""
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    made = cvss.metric("3.1", 9.81, "CRITICAL", vector, "nvd@nist.gov", primary=True)
    assert made == Metric("3.1", 9.8, "critical", vector, "nvd@nist.gov", True)
    said = cvss.metric("3.1", 9.8, "Important", vector, "x", primary=False)
    assert said is not None
    assert said.severity == "critical"


@pytest.mark.parametrize("score", [None, -0.1, 10.1])
def test_what_is_no_score_is_no_metric(score: float | None) -> None:
    """CVSS goes from 0 to 10."""
    assert cvss.metric("3.1", score, "HIGH", "", "x", primary=True) is None
