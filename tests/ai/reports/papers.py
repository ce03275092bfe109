"""Facts and a document of a report, with words that try to be markup wherever somebody else chose them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec

from spectra.ai.reports.facts import Facts, Item, Told
from spectra.model.ai import Fragment, Kind, Label, Private
from spectra.model.explanations import Risk
from spectra.model.reports import (
    FORMAT,
    CertificateLine,
    ChangeLine,
    Figures,
    FindingLine,
    HostLine,
    NameLine,
    ReportDocument,
    ScanLine,
    Section,
    ServiceLine,
    Statement,
    Tables,
)
from spectra.model.summaries import CitedRecord, Target

NOW: Final = datetime(2027, 3, 1, 12, tzinfo=UTC)
IP: Final = "192.0.2.7"
EVIL: Final = '<script>alert(1)</script> | **b** `c` [x](http://evil.example) #import "x" $a$ \u202e\x1b[31m'
"""What a banner may say: HTML, Markdown, typst, and what steers a terminal."""
FINDING: Final = f"{IP}~22~tcp~CVE-2024-6387"
TARGET: Final = Target("ip", IP)


def finding(cve: str = "CVE-2024-6387", **fields: Any) -> FindingLine:
    """A weakness of ssh."""
    line = FindingLine(
        id=f"{IP}~22~tcp~{cve}", ip=IP, port=22, protocol="tcp", cve=cve, title="Race in sshd", severity="critical",
        cvss=9.8, epss=0.6, kev=date(2024, 7, 2), priority=80.0, product="OpenSSH", version="9.2p1", level="confirmed",
        opened=NOW - timedelta(days=60),
    )  # fmt: skip
    return msgspec.structs.replace(line, **fields)


def service(port: int, **fields: Any) -> ServiceLine:
    """An open endpoint."""
    return msgspec.structs.replace(ServiceLine(ip=IP, port=port, protocol="tcp", last_seen=NOW), **fields)


def tables(**fields: Any) -> Tables:
    """One host with ssh, a web page and a Telnet."""
    findings = fields.pop("findings", (finding(), finding("CVE-2023-0001", kev=None, severity="low", priority=5.0)))
    services = (
        service(22, service="ssh", product="OpenSSH", version="9.2p1"),
        service(80, service="http", product="nginx", title=f"Admin login {EVIL}"),
        service(23, service="telnet"),
    )
    figures = Figures(
        hosts=1, hosts_total=1, exact=True, up=1, endpoints=3, names=2, certificates=1, expired=1,
        findings={"critical": 1, "low": 1} if findings else {}, findings_total=len(findings), kev=1 if findings else 0,
        changes=1, changed={"new": 1},
    )  # fmt: skip
    made = Tables(
        figures=figures,
        hosts=(HostLine(ip=IP, names=("vpn.example.org",), status="up", ports=3, findings=2, last_seen=NOW),),
        services=services,
        names=(
            NameLine("vpn.example.org", (IP,)),
            NameLine("www.example.org", (IP,)),
            NameLine("*.example.org", (IP,)),
        ),
        certificates=(
            CertificateLine(sha256="ab" * 32, subject="www", issuer="CA", not_after=NOW - timedelta(1), expired=True),
        ),
        findings=findings,
        changes=(ChangeLine(at=NOW, kind="new", ip=IP, where="23/tcp", what="telnet"),),
        scans=(
            ScanLine(
                observation_id="cd" * 32,
                scan_id="s1",
                scan_type="full",
                contributor="a",
                seen_at=NOW,
                hosts=1,
                tool="nmap",
            ),
        ),
    )
    return msgspec.structs.replace(made, **fields)


def facts(**fields: Any) -> Facts:
    """Of that host."""
    risks = (
        Risk("high", "plain-text", "Telnet sends everything in clear.", "23/tcp", "Switch it off and use SSH."),
        Risk("low", "stale", "2 of 2 may have changed.", "", f"Look again: spectra scan {IP} --submit"),
    )
    private = Fragment(("Host ", Private(Kind.ADDRESS, IP), " is up."), Label.CLOUD_DIRECT)
    made = Facts(
        target=TARGET,
        pattern="full",
        at=NOW,
        tables=tables(),
        told=(Told(IP, f"{IP} is up.", risks, ("Switch it off.",)),),
        items=(
            Item("F1", f"host:{IP}", IP, private),
            Item("F2", f"endpoint:{IP}/tcp/23", f"{IP} 23/tcp", Fragment((EVIL,), Label.LOCAL_ONLY, droppable=True)),
        ),
    )
    return msgspec.structs.replace(made, **fields)


def document(**fields: Any) -> ReportDocument:
    """A report that a model wrote."""
    made = ReportDocument(
        format=FORMAT, id=f"report-{'0' * 20}", version=3, kind="ip", target=IP, pattern="full",
        title="Full assessment", purpose="Everything.", made=NOW, account="alice",
        by="model", provider="local", model="tiny",
        sections=(
            Section(id="summary", title="Summary", form="text", by="model",
                    statements=(Statement(f"It says {EVIL}", (f"host:{IP}",)),)),
            Section(id="risks", title="Risks", form="risks", by="model",
                    statements=(Statement("Clear text.", (f"endpoint:{IP}/tcp/23",), "Telnet", "high"),)),
            Section(id="steps", title="Next steps", form="steps", by="model", statements=(Statement("Stop it."),)),
            Section(id="points", title="Points", form="list", by="model", statements=(Statement("One.", (), "First"),)),
            Section(id="controls", title="Measures", form="controls", by="model",
                    statements=(Statement("Seen.", (), "Inventory", "", "not met"),)),
            Section(id="empty", title="Nothing", form="list", by="model"),
        ),
        shown=("figures", "hosts", "services", "web", "names", "certificates", "findings", "changes", "scans"),
        tables=tables(),
        records=(CitedRecord(f"host:{IP}", IP), CitedRecord(f"endpoint:{IP}/tcp/23", f"{IP} 23/tcp {EVIL}")),
        notes=("It tells of 1 host.",),
    )  # fmt: skip
    return msgspec.structs.replace(made, **fields)
