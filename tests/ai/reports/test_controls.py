"""Measures and their evidence: silence is never called a measure that is met."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from spectra.ai.reports.controls import controls
from spectra.ai.reports.facts import Told
from spectra.model.explanations import Risk
from tests.ai.reports.papers import IP, NOW, facts, finding, service, tables


def verdicts(**fields: object) -> dict[str, str]:
    """The verdict of each measure by the first word of its title."""
    return {one.title.split()[0]: one.verdict for one in controls(facts(**fields))}


def test_what_speaks_against_a_measure_is_named() -> None:
    """An old critical weakness, an exploited one, and Telnet; those come first."""
    found = list(controls(facts()))
    assert [one.verdict for one in found] == ["not met"] * 3 + ["unknown"] * 3 + ["met"]
    assert all(one.cites and set(one.cites) <= facts().known for one in found)
    said = next(one for one in found if one.title.startswith("Weaknesses"))
    assert f"CVE-2024-6387 at {IP} 22/tcp" in said.text


@pytest.mark.parametrize(
    ("days", "verdict"),
    [(31, "not met"), (29, "unknown")],
)
def test_a_severe_weakness_has_a_month(days: int, verdict: str) -> None:
    """One that is younger is no failure yet."""
    young = finding(opened=NOW - timedelta(days=days))
    assert verdicts(tables=tables(findings=(young,)))["Weaknesses"] == verdict


def test_nothing_seen_is_nothing_known() -> None:
    """Without findings and risks nothing is met but the inventory."""
    assert set(verdicts(tables=tables(findings=()), told=()).values()) == {"unknown", "met"}
    unknown = tables(services=(service(9),), findings=())
    assert verdicts(tables=unknown, told=())["Inventory"] == "not met"


def test_looking_again_is_a_measure() -> None:
    """Two scans in a month are enough, an old one is not."""
    scan = tables().scans[0]
    assert verdicts(tables=tables(scans=(scan, scan)))["Effectiveness"] == "met"
    old = msgspec.structs.replace(scan, seen_at=NOW - timedelta(days=90))
    assert verdicts(tables=tables(scans=(old,)))["Effectiveness"] == "not met"
    assert verdicts(tables=tables(scans=()))["Effectiveness"] == "not met"


def test_what_everybody_reaches_is_not_met() -> None:
    """A database at a public address, and an expired certificate."""
    risks = (
        Risk("high", "public-database", "Redis is open at a public address.", "6379/tcp"),
        Risk("medium", "certificate-expired", "It expired.", "443/tcp"),
    )
    found = verdicts(told=(Told(IP, "", risks),))
    assert (found["Administration"], found["Transport"]) == ("not met", "not met")
