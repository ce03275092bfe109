"""Threat Analyst on CrowdSec's own alerts, and on what each rule is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spectra.ai.agents import threat_analyst
from spectra.ai.agents.threat_analyst import Knowledge, Opened
from spectra.model.insights import Insight
from tests.ai.agents.logs.test_crowdsec import sample

NOW = datetime(2027, 1, 2, tzinfo=UTC)


def knows(hosts: Sequence[str] = (), opened: Sequence[Opened] = ()) -> Knowledge:
    """A store that knows these."""

    def among(ips: Sequence[str]) -> frozenset[str]:
        return frozenset(hosts) & frozenset(ips)

    def of(cves: Sequence[str]) -> Sequence[Opened]:
        return [one for one in opened if one.cve in cves]

    return Knowledge(among, of)


def alert(ip: str, scenario: str = "crowdsecurity/ssh-bf", **said: Any) -> dict[str, Any]:
    """An alert of now."""
    users = said.pop("users", [])
    targets = [{"meta": [{"key": "target_ip", "value": one}]} for one in said.pop("targets", [])]
    return {
        "scenario": scenario,
        "source": {"ip": ip, "scope": "Ip", "value": ip},
        "start_at": "2027-01-01T10:00:00Z",
        "stop_at": "2027-01-01T10:01:00Z",
        "events_count": 6,
        "events": [{"meta": [{"key": "target_user", "value": user}]} for user in users] + targets,
        **said,
    }


def run(alerts: Sequence[dict[str, Any]], knowledge: Knowledge | None = None) -> list[Insight]:
    """What is concluded."""
    return threat_analyst.run(msgspec.json.encode(alerts), NOW, knowledge or knows())[0]


def test_real_alerts_become_one_campaign(shared_data: Path) -> None:
    """18 of the 20 are of one network within a day: one insight rather than 18; the two others stand alone, low."""
    found, log = threat_analyst.run(sample(shared_data, "alert_bulk"), NOW, knows())
    assert len(log.entries) == 20
    assert [(one.kind, one.severity) for one in found] == [
        ("campaign", "high"),
        ("attacker", "low"),
        ("attacker", "low"),
    ]
    assert found[0].subjects[0] == "network:91.121.72.0/21"
    assert {f.name: f.value for f in found[0].features}["sources"] == "18"
    assert len(threat_analyst.run(sample(shared_data, "alert_sample"), NOW, knows())[0]) == 0


def test_a_host_of_ours_that_attacks(shared_data: Path) -> None:
    """By its address, or because scans know it: nothing is graver than that but an exploit."""
    (one,) = threat_analyst.run(sample(shared_data, "alert_allowlisted"), NOW, knows())[0]
    assert (one.kind, one.severity, one.subjects) == ("own_host_attacks", "high", ("host:10.0.0.42",))
    (one,) = run([alert("93.184.216.34", "crowdsecurity/CVE-2021-44228")], knows(["93.184.216.34"]))
    assert (one.kind, one.severity) == ("own_host_attacks", "critical")


def test_stages_sprays_and_pace() -> None:
    """Scan, then passwords, then an exploit are told as one attack; many users of one source as a spray."""
    (one,) = run(
        [
            alert("203.0.113.9", name)
            for name in ("crowdsecurity/http-probing", "crowdsecurity/ssh-bf", "crowdsecurity/http-cve-2021-41773")
        ]
    )
    assert (one.kind, one.severity) == ("staged_attack", "high")
    assert one.title == "203.0.113.9: scan and credentials and exploit, 18 events"
    (one,) = run([alert("203.0.113.9", users=["a", "b", "c", "d", "e"])])
    assert one.kind == "password_spray"
    (one,) = run([alert("203.0.113.9", decisions=[], events_count=600)])
    assert "Nobody has decided" in one.what


def test_attacks_on_weaknesses_that_are_there() -> None:
    """With the findings; graver where a host that has it was among the targets, or it is known to be exploited."""
    opened = [Opened("10.0.0.7~80~tcp~CVE-2021-41773", "10.0.0.7", "CVE-2021-41773", False)]
    name = "crowdsecurity/http-cve-2021-41773"
    found = run([alert("203.0.113.9", name)], knows(opened=opened))
    assert (found[0].kind, found[0].severity) == ("attack_on_weakness", "high")
    assert found[0].subjects == ("cve:CVE-2021-41773", f"finding:{opened[0].id}")
    hit = run([alert("203.0.113.9", name, targets=["10.0.0.7"])], knows(opened=opened))
    assert hit[0].severity == "critical"
    assert not [one for one in run([alert("203.0.113.9", name)]) if one.kind == "attack_on_weakness"]


def test_what_only_simulates_and_what_is_little() -> None:
    """A scenario in simulation is none; a single crawl is below what is told."""
    assert not run([alert("203.0.113.9", simulated=True)])
    assert not run([alert("203.0.113.9", "crowdsecurity/http-crawl-non_statics", events_count=1)])


@pytest.mark.parametrize(
    ("scenario", "stage"),
    [
        ("crowdsecurity/ssh-slow-bf", "credentials"),
        ("crowdsecurity/http-bf-wordpress_bf", "credentials"),
        ("crowdsecurity/iptables-scan-multi_ports", "scan"),
        ("crowdsecurity/apache_log4j2_cve-2021-44228", "exploit"),
        ("crowdsecurity/http-sqli-probing", "exploit"),
        ("crowdsecurity/http-dos-swithcing-ua", "denial"),
        ("crowdsecurity/http-open-proxy", "abuse"),
        ("me/thing", "other"),
    ],
)
def test_stages_are_told_by_the_name(scenario: str, stage: str) -> None:
    """As CrowdSec's hub names scenarios."""
    assert threat_analyst.stage(scenario)[0] == stage
