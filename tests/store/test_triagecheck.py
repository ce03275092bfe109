"""Whether there is anything that a decision would be about."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.errors import NotFound
from spectra.model.findingrecords import FindingKey
from spectra.model.triage import Target
from spectra.store import triagecheck
from spectra.store.database import Database
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import Weak

CVE, OTHER = "CVE-2024-0001", "CVE-2024-0002"
HERE = FindingKey("192.0.2.7", 22, "tcp", CVE)


@pytest.fixture
def known(database: Database, write: Scribe) -> Database:
    """An endpoint with one weakness that is told, and one that was taken back."""
    weak = Weak(database)
    write([host(HERE.ip, T0, seen(HERE.port, "ssh", "OpenSSH", "9.2"))])
    software = weak.software("OpenSSH", "9.2")
    weak.affected(software, weak.vuln(CVE))
    weak.affected(software, weak.vuln(OTHER), until=T0 + timedelta(days=1))
    weak.vuln("CVE-2024-0003")
    return database


def test_findings(known: Database) -> None:
    """What is one or was one; anything else is named."""
    triagecheck.require_findings(known, [])
    triagecheck.require_findings(known, [HERE, HERE._replace(cve=OTHER)])
    for key in (
        HERE._replace(cve="CVE-2024-0003"),
        HERE._replace(cve="CVE-2024-0004"),
        HERE._replace(port=23),
        HERE._replace(protocol="udp"),
        HERE._replace(ip="192.0.2.8"),
    ):
        with pytest.raises(NotFound, match=f"{key.cve} was never found at {key.ip} {key.port}/{key.protocol}"):
            triagecheck.require_findings(known, [HERE, key])


def test_cves_and_hosts(known: Database) -> None:
    """Are known, whether or not there is a finding."""
    triagecheck.require_targets(known, [Target("CVE-2024-0003"), Target(CVE, HERE.ip)])
    with pytest.raises(NotFound, match="CVE-2024-0004"):
        triagecheck.require_targets(known, [Target("CVE-2024-0004")])
    with pytest.raises(NotFound, match=r"192\.0\.2\.8"):
        triagecheck.require_targets(known, [Target(CVE, "192.0.2.8")])
    with known.connection() as connection:
        assert triagecheck.known_hosts(connection, {HERE.ip, "192.0.2.8"}) == {HERE.ip}
