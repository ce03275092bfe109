"""From findings to statements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from spectra.intel.vex.outgoing import statements
from spectra.model.findingrecords import FindingRecord, PriorityRecord, TriageRecord
from spectra.model.triage import Target, Verdict

T0 = datetime(2026, 3, 1, tzinfo=UTC)
CVE = "CVE-2024-6387"
CPE = "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*"


def finding(ip: str = "192.0.2.7", port: int = 22, cve: str = CVE, **changes: Any) -> FindingRecord:
    """One finding."""
    facts: dict[str, Any] = {
        "state": "open", "opened": T0, "known": T0, "confidence": 0.9, "level": "confirmed", "cpe": CPE,
        "range": "< 9.8", "source": "nvd", "priority": PriorityRecord(70, "high"), "product": "OpenSSH",
        "version": "9.2p1",
    }  # fmt: skip
    return FindingRecord(id=f"{ip}~{port}~tcp~{cve}", ip=ip, port=port, protocol="tcp", cve=cve, **(facts | changes))


def decision(**changes: Any) -> TriageRecord:
    """One decision."""
    facts: dict[str, Any] = {"id": "x", "cve": CVE, "status": "accepted", "at": T0, "by": "alice"}
    return TriageRecord(**(facts | changes))


def test_what_is_alike_is_one_statement() -> None:
    """With all its products, and the time of the newest."""
    later = T0 + timedelta(days=1)
    found = statements([finding(), finding("192.0.2.8", known=later), finding(cve="CVE-2024-0001")])
    assert [(one.cve, len(one.products), one.said) for one in found] == [(CVE, 2, later), ("CVE-2024-0001", 1, T0)]
    assert found[0].products[0].target == Target("", "192.0.2.7", 22, "tcp")
    assert found[0].products[0][1:] == ("OpenSSH", "9.2p1", CPE)


def test_what_nobody_decided() -> None:
    """What there is to do where it is sure; whether a distribution repaired it is another thing to do."""
    sure, patched, possible = statements([finding(), finding(port=23, patched="possibly"), finding(level="possible")])
    assert "OpenSSH < 9.8 is affected as nvd says. Update it" in sure.action
    assert "distribution" in patched.action
    assert (possible.sure, possible.action, possible.verdict) == (False, "", None)
    (bare,) = statements([finding(range="", source="", product="")])
    assert "It 9.2p1 is affected." in bare.action
    assert statements([finding()], decided=True) == ()


def test_decisions_are_told_for_where_they_hold() -> None:
    """One for a host or everywhere once, however many findings it was met by."""
    wide = decision(until=T0, note="n", cpe="cpe:2.3:a:x:y:*:*:*:*:*:*:*:*")
    host = decision(status="fixed", ip="192.0.2.7")
    here = decision(status="not_affected", ip="192.0.2.7", port=22, protocol="tcp", justification="code_not_present")
    found = statements(
        [
            finding(triage=wide), finding("192.0.2.9", triage=wide), finding(triage=host),
            finding(port=80, triage=host), finding(triage=here),
        ],
        decided=True,
    )  # fmt: skip
    assert [(one.verdict, [product.target for product in one.products]) for one in found] == [
        (Verdict("accepted", "n", until=T0), [Target("", cpe=wide.cpe)]),
        (Verdict("fixed"), [Target("", "192.0.2.7")]),
        (Verdict("not_affected", "", "code_not_present"), [Target("", "192.0.2.7", 22, "tcp")]),
    ]
    assert found[0].products[0].cpe == wide.cpe
    assert found[1].products[0].name == ""
