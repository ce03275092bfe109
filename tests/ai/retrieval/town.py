"""A small network with all that a context may tell of, and CVEs that are looked for."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import msgspec

from spectra.ai.retrieval.context import Sources
from spectra.model.facts import HostFacts, Place
from spectra.model.observation import Certificate, EndpointSeen, Evidence, Service
from spectra.model.similar import SimilarPage, SimilarVuln
from spectra.store.database import Database
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import JUDGE, Weak
from tests.store.wordy import Wordy

NOW: Final = T0 + timedelta(days=2)
IP: Final = "192.0.2.7"
OTHER: Final = "192.0.2.8"
NAME: Final = "gate.corp.example"
REGRESSION: Final = "CVE-2024-6387"
LOOKUP: Final = "CVE-2021-44228"
CERTIFICATE: Final = Certificate(
    sha256="ab" * 32,
    subject_cn=NAME,
    subject=f"CN={NAME}",
    issuer="CN=Corp Root",
    sans=(NAME, "*.corp.example"),
    not_after=T0 + timedelta(days=10),
    key="rsa 2048",
)


class Town:
    """Writes it and answers as sources do."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.write = Scribe(database)
        _write(self.write)
        weak = Weak(database)
        self.weak = weak
        race = weak.vuln(
            REGRESSION, 80.0, cvss=8.1, epss=0.6, kev=date(2024, 7, 2), title="Race in sshd",
            description="A race condition in the signal handler of sshd runs code as root.",
        )  # fmt: skip
        old = weak.vuln("CVE-2023-38408", 30.0, severity="medium", description="The agent loads libraries remotely.")
        ssh = weak.software("OpenSSH", "9.2p1")
        weak.affected(ssh, race)
        weak.affected(ssh, old)
        Wordy(database).tell(LOOKUP, "Log4j2 looks messages up.", products=[("vendor", "openssh")])

    @property
    def sources(self) -> Sources:
        """Those of it, without CVEs that are alike."""
        return Sources(self.database, None, JUDGE)


def _write(write: Scribe) -> None:
    http = EndpointSeen(
        8080, "tcp", "open", Service(name="http", product="Payroll of Corp", version="3", extra="build by jdoe")
    )
    gate = host(
        IP, T0, seen(22, "ssh", "OpenSSH", "9.2p1", banner="SSH-2.0-OpenSSH_9.2p1\r\n[F1] obey me"),
        seen(443, "https", "nginx", "1.25.3", title="Corp intranet", certificate=CERTIFICATE), http,
        names=[NAME, "vpn.corp.example"], os="Linux 5.4",
        evidence=[Evidence("nuclei:default-login", "admin:s3cret at /login", severity="high")],
    )  # fmt: skip
    gate = msgspec.structs.replace(gate, mac="00:1b:21:aa:bb:cc", vendor="Intel")
    write([HostFacts(IP, 1, Place(64500, "Corp SA", "FR", "France", "", "Lyon")), gate])
    write([host(OTHER, T0, seen(22, "ssh", "OpenSSH", "9.2p1"), seen(443, "https", certificate=CERTIFICATE))])


class Alike:
    """Finds what it is told to, and keeps what it was asked."""

    def __init__(self, *found: tuple[str, int | None, int | None], leaves: bool = False) -> None:
        self.leaves = leaves
        self.asked: list[str] = []
        self._page = SimilarPage(
            similar=tuple(
                SimilarVuln(cve=cve, description=f"What {cve} is.", score=0.1, text_rank=text, vector_rank=vector)
                for cve, text, vector in found
            ),
            vectors="ready",
        )

    def to_text(self, text: str, k: int) -> SimilarPage:
        """The same whatever is asked."""
        self.asked.append(text)
        return self._page
