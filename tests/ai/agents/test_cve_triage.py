"""CVE Triage: the decision on each CVE, and what it rests on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from spectra.ai.agents import cve_triage
from spectra.ai.agents.cve_triage import Group, verdict
from spectra.model.findingrecords import FindingRecord, PriorityRecord

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def finding(ip: str = "93.184.216.34", cve: str = "CVE-2024-6387", **said: Any) -> FindingRecord:
    """An open finding that is sure."""
    fields: dict[str, Any] = {
        "id": f"{ip}~22~tcp~{cve}",
        "port": 22,
        "protocol": "tcp",
        "state": "open",
        "opened": NOW - timedelta(days=40),
        "known": NOW - timedelta(days=40),
        "confidence": 0.95,
        "level": "confirmed",
        "cvss": 5.0,
        "epss": 0.01,
        "priority": PriorityRecord(50.0, "medium"),
        "product": "OpenSSH",
        "version": "8.9p1",
    }
    return FindingRecord(ip=ip, cve=cve, **(fields | said))


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"kev": date(2024, 7, 1)}, "act"),
        ({"kev": date(2024, 7, 1), "ip": "10.0.0.7"}, "attend"),
        ({"ransomware": True}, "act"),
        ({"epss": 0.6}, "attend"),
        ({"epss": 0.6, "ip": "10.0.0.7"}, "track_closely"),
        ({"epss": 0.2, "cvss": 9.8}, "attend"),
        ({"cvss": 9.8, "ip": "10.0.0.7"}, "track_closely"),
        ({"cvss": 7.5}, "track_closely"),
        ({"cvss": 7.5, "ip": "10.0.0.7"}, "track"),
        ({"kev": date(2024, 7, 1), "confidence": 0.3}, "attend"),
        ({"kev": date(2024, 7, 1), "patched": "possibly"}, "attend"),
        ({}, "track"),
    ],
)
def test_the_decision(said: dict[str, Any], word: str) -> None:
    """Exploited and reachable: act; a step less where it is not sure that it is there."""
    assert verdict(Group("CVE-2024-6387", [finding(**said)])).word == word


def test_a_cve_is_one_insight_over_all_hosts() -> None:
    """With every finding of it, by when, and what it rests on; what is only tracked is counted."""
    exploited = [finding(f"93.184.216.{n}", kev=date(2024, 7, 1)) for n in (1, 2)]
    found = cve_triage.run([*exploited, finding("10.0.0.9", "CVE-2020-1")], NOW)
    first, overview = found
    assert (first.kind, first.severity, first.label) == ("act", "critical", "SANITIZED")
    assert first.subjects == ("cve:CVE-2024-6387", *(f"finding:{one.id}" for one in exploited))
    assert "late by 37 days" in first.advice
    assert {f.name: f.value for f in first.features}["exploited"] == "kev"
    assert (overview.kind, overview.severity) == ("overview", "info")
    assert overview.title == "2 CVEs on 3 hosts: 1 to act on"
    assert cve_triage.run([], NOW) == []
    assert first.id == cve_triage.run(exploited[:1], NOW + timedelta(days=1))[0].id
