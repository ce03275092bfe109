"""CVSS scores as the feeds give them, and the words for them."""

from __future__ import annotations

from typing import Final

from spectra.intel.vulns.texts import word
from spectra.model.vulns import Metric, Severity

VERSIONS: Final = ("4.0", "3.1", "3.0", "2.0")
"""Versions of CVSS, the newest first."""

_SEVERITIES: Final[dict[str, Severity]] = {
    "none": "none",
    "low": "low",
    "medium": "medium",
    "moderate": "medium",
    "high": "high",
    "critical": "critical",
}


def severity(version: str, score: float) -> Severity:
    """The word for a score (https://www.first.org/cvss/v4-0/specification-document, 6); for v2 the NVD's three."""
    if version == "2.0":
        return "low" if score < 4 else "medium" if score < 7 else "high"
    if score <= 0:
        return "none"
    return "low" if score < 4 else "medium" if score < 7 else "high" if score < 9 else "critical"


def metric(version: str, score: float | None, said: str, vector: str, by: str, *, primary: bool) -> Metric | None:
    """A metric of what a source says; None where it has no score between 0 and 10."""
    if score is None or not 0 <= score <= 10:
        return None
    words = _SEVERITIES.get(said.lower()) or severity(version, score)
    return Metric(version, round(float(score), 1), words, vector[:300] if vector.isascii() else "", word(by), primary)
