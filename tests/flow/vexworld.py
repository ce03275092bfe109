"""A few hosts with software of several kinds and CVEs, to read and write VEX documents about."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from spectra.model.findings import Distribution
from spectra.model.vulns import Product
from spectra.store.database import Database
from tests.store import wares
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import Weak

DAY: Final = timedelta(days=1)
NOW: Final = T0 + 9 * DAY
CVE: Final = "CVE-2024-6387"
OTHER: Final = "CVE-2024-0002"
SSH: Final = "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*"
OLD_SSH: Final = "cpe:2.3:a:openbsd:openssh:8.2:p1:*:*:*:*:*:*"
NGINX: Final = "cpe:2.3:a:f5:nginx:1.2:*:*:*:*:*:*:*"
IPS: Final = ("192.0.2.1", "192.0.2.2", "192.0.2.3")


def populate(database: Database) -> None:
    """Three hosts: OpenSSH of Debian on two of them, once with and once without its build told; an old one; nginx, also
    known as of another maker. Both CVEs are of everything.
    """
    write, weak = Scribe(database), Weak(database)
    write(
        [
            host(
                IPS[0], T0, seen(22, "ssh", "OpenSSH", "9.2p1 Debian 2+deb12u3"), seen(80, "http", "nginx", "1.2"),
                names=["www.example.org", "shop.example.org"],
            ),
            host(IPS[1], T0, seen(22, "ssh", "OpenSSH", "9.2p1"), seen(8080, "http", "nginx", "1.2"),
                 names=["www.example.org"]),
            host(IPS[2], T0, seen(22, "ssh", "OpenSSH", "8.2p1")),
        ]
    )  # fmt: skip
    debian = Distribution("debian", "12")
    found = [
        wares.software(database, [SSH], ("OpenSSH", "9.2p1 Debian 2+deb12u3"), debian),
        wares.software(database, [SSH], ("OpenSSH", "9.2p1")),
        wares.software(database, [OLD_SSH], ("OpenSSH", "8.2p1")),
        wares.software(database, [NGINX], ("nginx", "1.2")),
    ]
    with database.connection() as connection:
        wares.product(connection, Product("a", "nginx", "nginx"), Product("a", "f5", "nginx"))
    for cve, risk in ((CVE, 90.0), (OTHER, 20.0)):
        details = '{"aliases": ["GHSA-2x8c-95vh-gfv4"]}' if cve == CVE else "{}"
        vuln = weak.vuln(cve, risk, details=details)
        for ident in found:
            weak.affected(ident, vuln, confidence=0.9 if cve == CVE else 0.4)
