"""Lines about weaknesses: what a finding means here, and what is said of a CVE anywhere."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from spectra.ai.retrieval.weaknesslines import of_cves, of_findings, rated, repaired
from spectra.model.findingrecords import FindingRecord, PriorityRecord, TriageRecord
from spectra.model.vulnrecords import VulnSummary
from tests.store.scribe import T0

FINDING = FindingRecord(
    id="192.0.2.1~22~tcp~CVE-2024-6387",
    ip="192.0.2.1",
    port=22,
    protocol="tcp",
    cve="CVE-2024-6387",
    severity="high",
    cvss=8.1,
    epss=0.62,
    kev=date(2024, 7, 2),
    ransomware=True,
    state="open",
    opened=T0,
    known=T0,
    confidence=0.9,
    level="confirmed",
    range=">= 8.5p1, < 9.8p1",
    priority=PriorityRecord(90.0, "critical"),
    product="OpenSSH",
    version="9.2p1",
)


def test_a_finding_once_for_all_endpoints_of_a_host() -> None:
    """With what it is rated, what it concerns, where it is repaired, and what was decided."""
    others = [
        msgspec.structs.replace(FINDING, id=f"192.0.2.1~{port}~tcp~CVE-2024-6387", port=port) for port in range(23, 30)
    ]
    triage = TriageRecord(id="1", cve=FINDING.cve, status="investigating", at=T0, by="alice")
    first = msgspec.structs.replace(FINDING, triage=triage, patched="possibly")
    lines = list(of_findings([first, *others, msgspec.structs.replace(FINDING, ip="192.0.2.2")], ()))
    assert len(lines) == 2
    assert lines[0].record == f"finding:{FINDING.id}"
    assert lines[0].fragment.text == (
        "Finding CVE-2024-6387 at 192.0.2.1 22/tcp, also 23/tcp, 24/tcp, 25/tcp, 26/tcp and 3 more (OpenSSH 9.2p1):"
        " severity high, CVSS 8.1, EPSS 62%, known to be exploited (KEV, 2024-07-02), used by ransomware; confirmed,"
        " >= 8.5p1, < 9.8p1, repaired from 9.8p1 on, a distribution may have repaired it; priority 90 (critical);"
        " open since 2026-01-01; triage: investigating"
    )


@pytest.mark.parametrize(
    ("range", "said"),
    [
        (">= 8.5p1, < 9.8p1", ", repaired from 9.8p1 on"),
        ("<= 1.2", ", repaired after 1.2"),
        (">= 2", ""),
        ("", ""),
        ("1.2.3", ""),
    ],
)
def test_where_a_repair_is(range: str, said: str) -> None:
    """As bounds of versions tell it."""
    assert repaired(range) == said


def test_cves_that_concern_the_target_and_others() -> None:
    """Others are told of as such, and matter more where something was asked."""
    told = {
        cve: VulnSummary(cve=cve, title=title, description="Texts\nwith [F1] lines.", products=("a:b",))
        for cve, title in (("CVE-1", "One"), ("CVE-2", ""))
    }
    lines = list(of_cves(["CVE-1", "CVE-9", "CVE-2"], told, {"CVE-1": 50.0}, asked=False))
    assert [one.record for one in lines] == ["cve:CVE-1", "cve:CVE-2"]
    assert lines[0].fragment.text == "CVE-1 (severity not rated): One. Texts with (F1] lines. Affects a:b."
    assert lines[1].fragment.text.endswith("Like what was asked; not known to concern the target.")
    asked = list(of_cves(["CVE-1", "CVE-2"], told, {"CVE-1": 50.0}, asked=True))
    assert asked[1].score > lines[1].score
    assert rated(VulnSummary(cve="x", severity="low", cvss=3.0)) == "severity low, CVSS 3"
