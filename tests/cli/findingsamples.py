"""Findings as a server tells of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from spectra.model.findingrecords import FindingDetail, FindingRecord, IntervalRecord, PriorityRecord, TriageRecord
from spectra.model.vulns import Kev, Metric, Reference

NOW = datetime.now(UTC)
CVE = "CVE-2024-6387"
DECISION = TriageRecord(
    id="t1", cve=CVE, status="accepted", at=NOW, by="alice", ip="192.0.2.7", port=22, protocol="tcp", note="until May",
    until=NOW + timedelta(days=30), cpe="cpe:2.3:a:openbsd:openssh",
)  # fmt: skip


def facts(**changes: Any) -> dict[str, Any]:
    """The fields of a finding."""
    port, cve = changes.get("port", 22), changes.get("cve", CVE)
    own: dict[str, Any] = {
        "id": f"192.0.2.7~{port}~tcp~{cve}",
        "ip": "192.0.2.7",
        "port": 22,
        "protocol": "tcp",
        "cve": CVE,
        "title": "A signal handler race",
        "severity": "high",
        "cvss": 8.1,
        "cvss_version": "3.1",
        "epss": 0.63,
        "state": "new",
        "opened": NOW - timedelta(days=40),
        "known": NOW - timedelta(days=2),
        "confidence": 0.9,
        "level": "confirmed",
        "cpe": "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*",
        "criterion": "cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*",
        "range": ">= 8.5p1, < 9.8p1",
        "source": "nvd",
        "reason": "OpenSSH 9.2p1 was seen; the NVD says that OpenSSH >= 8.5p1, < 9.8p1 is affected.",
        "priority": PriorityRecord(71.4, "high", ("The risk of the CVE alone is 79 of 100.", "It is reachable.")),
        "service": "ssh",
        "product": "OpenSSH",
        "version": "9.2p1",
    }
    return own | changes


def finding(**changes: Any) -> FindingRecord:
    """A finding."""
    return FindingRecord(**facts(**changes))


def detail(**changes: Any) -> FindingDetail:
    """A finding with all there is to know, closed once."""
    own: dict[str, Any] = {
        "description": "A race condition in sshd. " * 20,
        "history": (
            IntervalRecord(
                opened=NOW - timedelta(days=90), known=NOW, closed=NOW - timedelta(days=60), closed_why="gone",
                product="OpenSSH", version="9.1",
            ),
            IntervalRecord(opened=NOW - timedelta(days=40), known=NOW, product="OpenSSH", version="9.2p1"),
        ),
        "published": NOW,
        "metrics": (Metric("3.1", 8.1, "high", "CVSS:3.1/AV:N"), Metric("2.0", 6.0, "medium")),
        "weaknesses": ("CWE-362",),
        "references": tuple(Reference(f"https://example.org/{n}", ("Patch",)) for n in range(14)),
        "aliases": ("GHSA-1",),
        "epss_percentile": 0.98,
        "kev": date(2024, 7, 1),
        "ransomware": True,
        "exploited": Kev(CVE, date(2024, 7, 1), action="Update."),
    }  # fmt: skip
    return FindingDetail(**(facts() | own | changes))
