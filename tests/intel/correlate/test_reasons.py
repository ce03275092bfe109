"""Why, in words."""

from __future__ import annotations

from spectra.intel.correlate import sentence
from spectra.model.findings import Affected, Distribution, Identity, Software
from spectra.model.vulns import Product
from tests.support.cpes import app, system

SSH = Product("a", "openbsd", "openssh")
SOFTWARE = Software((Identity(app("openbsd:openssh:9.2:p1"), 0.95, "the scanner names it"),))


def affected(criterion: str, bounds: str = "", **more: object) -> Affected:
    """Why OpenSSH 9.2p1 is affected."""
    return Affected("CVE-2024-6387", SSH, app("openbsd:openssh:9.2:p1"), criterion, bounds, "nvd", 0.9, **more)  # type: ignore[arg-type]


def test_a_range_is_told_with_what_was_seen() -> None:
    """What was seen, how, who says so, and what is meant."""
    said = sentence(affected(app("openbsd:openssh"), ">= 8.5, < 9.8"), SOFTWARE)
    assert said == (
        "openbsd openssh 9.2 p1 was seen (the scanner names it); the NVD says that openbsd openssh >= 8.5, < 9.8 is"
        " affected."
    )


def test_one_version_all_versions_and_none_told_are_told_apart() -> None:
    """Each in its own words."""
    assert "openssh 9.2 p1 is affected" in sentence(affected(app("openbsd:openssh:9.2:p1")), SOFTWARE)
    assert "every version of openbsd openssh is affected" in sentence(affected(app("openbsd:openssh")), SOFTWARE)
    assert "of a version it does not tell" in sentence(affected(app("openbsd:openssh:-")), SOFTWARE)


def test_what_was_not_seen_is_told() -> None:
    """Some of it by name, the rest by number."""
    names = tuple(system(f"maker:system_{i}") for i in range(5))
    said = sentence(affected(app("openbsd:openssh"), "< 9.8", requires=names), SOFTWARE)
    assert "maker system 0 or maker system 1 or maker system 2 or one of 2 more, not seen" in said


def test_a_distributions_repair_is_told() -> None:
    """Which build it is, and why the version says too little."""
    debian = Software(SOFTWARE.identities, distribution=Distribution("debian", "12"))
    said = sentence(affected(app("openbsd:openssh"), "< 9.8", patched="possibly"), debian)
    assert "debian 12, which may have repaired it" in said
