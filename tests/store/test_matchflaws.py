"""CVEs by endpoint."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.model.records import Match
from spectra.store.database import Database
from spectra.store.matchflaws import cves
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import Weak

pytestmark = pytest.mark.engine


def at(ip: str, port: int) -> Match:
    """What a search found there."""
    return Match(ip, port, "tcp", "open", T0, T0)


def test_open_findings_are_told_the_riskiest_first(database: Database, write: Scribe) -> None:
    """Without what was taken back and what triage settled, there or everywhere."""
    weak = Weak(database)
    ssh = seen(22, "ssh", "OpenSSH", "9.2")
    write([host("192.0.2.1", T0, ssh, seen(80, "http")), host("192.0.2.2", T0, ssh)])
    software = weak.software("OpenSSH", "9.2")
    for cve, risk in (("CVE-2024-0001", 10), ("CVE-2024-0002", 90), ("CVE-2024-0003", 50), ("CVE-2024-0004", 40)):
        weak.affected(software, weak.vuln(cve, risk))
    weak.affected(software, weak.vuln("CVE-2024-0005", 99), until=T0 + timedelta(days=1))
    weak.triage("CVE-2024-0003", "accepted")
    weak.triage("CVE-2024-0004", "fixed", "192.0.2.1")
    matches = [at("192.0.2.1", 22), at("192.0.2.1", 80), at("192.0.2.2", 22), at("192.0.2.9", 22)]
    assert cves(database, matches, 9) == [
        ("CVE-2024-0002", "CVE-2024-0001"),
        (),
        ("CVE-2024-0002", "CVE-2024-0004", "CVE-2024-0001"),
        (),
    ]
    assert cves(database, matches[:1], 1) == [("CVE-2024-0002",)]
    assert cves(database, [], 9) == []
