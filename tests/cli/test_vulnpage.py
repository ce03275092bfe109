"""The page of a CVE: what it tells, at every width, in colour only by severity."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from rich.text import Text

from spectra.cli.vulnpage import MAX_CRITERIA, MAX_HOSTS, MAX_REFERENCES, page
from spectra.model.vulnrecords import Configuration, VulnDetail, VulnHost, VulnHosts, VulnSource
from spectra.model.vulns import Kev, Metric, Reference, Ssvc

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CVE = "CVE-2024-6387"


def host(number: int) -> VulnHost:
    """An endpoint that it concerns."""
    return VulnHost(
        ip=f"192.0.2.{number}", port=22, protocol="tcp", product="OpenSSH", version="9.2p1 Debian 2+deb12u2",
        range=">= 8.5p1, < 9.8p1", confidence=0.6, patched="possibly", hostnames=("a.example.org",),
    )  # fmt: skip


WHOLE = VulnDetail(
    cve=CVE,
    title="regreSSHion",
    description="A signal handler race condition was found in OpenSSH's server (sshd). " * 8,
    status="disputed",
    severity="high",
    cvss=8.1,
    epss=0.4321,
    epss_percentile=0.973,
    kev=Kev(CVE, date(2024, 7, 1), date(2024, 7, 22), ransomware=True, action="Apply updates per vendor instructions."),
    ssvc=Ssvc("poc", "no", "total"),
    risk=97.0,
    published=NOW - timedelta(days=400),
    modified=NOW - timedelta(days=3),
    metrics=(
        Metric("3.1", 8.1, "high", "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", "nvd@nist.gov"),
        Metric("2.0", 6.0, "medium", "AV:N/AC:M", "someone"),
    ),
    weaknesses=("CWE-364", "CWE-362"),
    aliases=("GHSA-2x8c-95vh-gfv4",),
    references=tuple(Reference(f"https://example.org/{'a' * n}", ("Patch", "Vendor Advisory")) for n in range(30)),
    configured="nvd",
    configurations=(
        Configuration(("openbsd:openssh >= 8.5p1, < 9.8p1", "openbsd:openssh 4.4")),
        Configuration(("cisco:ios 15",), ("cisco:router of no version", "cisco:switch every version"), all_of=True),
        Configuration(tuple(f"vendor:product_with_a_long_name < {n}" for n in range(40))),
    ),
    criteria=4321,
    sources=(
        VulnSource("nvd", NOW - timedelta(hours=3), NOW, metrics=2, references=30, criteria=4321, title="x" * 90),
    ),
    hosts=VulnHosts(tuple(host(n) for n in range(40)), 1234, "c"),
)


def lines(vuln: VulnDetail, width: int = 100) -> list[str]:
    """The page as plain text."""
    return [line.plain for line in page(vuln, NOW, width)]


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_no_line_is_wider(width: int) -> None:
    """Whatever is told fits; ids and addresses stay whole from 80 columns on."""
    shown = list(page(WHOLE, NOW, width))
    assert max(line.cell_len for line in shown) <= width
    if width >= 80:
        assert any(line.plain.startswith(" 192.0.2.39") or "192.0.2.1 " in line.plain for line in shown)


def test_what_is_told() -> None:
    """How bad, whether it is used, how likely it will be, where it was seen and what is affected."""
    text = "\n".join(lines(WHOLE, 120))
    for said in (
        f"{CVE}  high 8.1  risk 97/100  exploited  disputed",
        "known to CISA since 2024-07-01, due 2024-07-22, used for ransomware",
        "Apply updates per vendor instructions.",
        "43.2% within 30 days, more than 97.3% of all CVEs",
        "exploitation poc, automatable no, impact total",
        "CWE-364, CWE-362",
        "GHSA-2x8c-95vh-gfv4",
        "HERE: 1,234 ENDPOINTS",
        "likely, possibly patched",
        f"and {1234 - MAX_HOSTS:,} more: spectra vulns {CVE} --hosts",
        "AFFECTED, SAYS NVD",
        "openbsd:openssh >= 8.5p1, < 9.8p1",
        "with cisco:router of no version",
        "or cisco:switch every version",
        f"{MAX_CRITERIA} of 4,321 shown",
        f"and {30 - MAX_REFERENCES} more",
        "Patch, Vendor Advisory",
        "CVSS:3.1/AV:N",
    ):
        assert said in text, said


def test_little_is_known() -> None:
    """A CVE of today: no heading without anything below it, and where it is not seen that is said."""
    assert lines(VulnDetail(cve=CVE, description="New.", hosts=VulnHosts((), 0))) == [
        f" {CVE}  no severity  risk 0/100",
        " New.",
        "",
        "",
        " HERE",
        " no open endpoint is affected, as far as its software is known",
    ]
    assert lines(VulnDetail(cve=CVE, status="rejected"))[-1].split()[0] == "status"


def test_severity_has_its_colour() -> None:
    """Critical and high stand out; the rest of the head does not."""
    head = next(iter(page(WHOLE, NOW, 100)))
    assert isinstance(head, Text)
    styles = {head.plain[span.start : span.end]: str(span.style) for span in head.spans}
    assert styles["high 8.1"] == "red"
