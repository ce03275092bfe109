"""A host of a served node that has weaknesses of its own, whatever other tests put there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spectra.store import software
from spectra.store.database import Database
from tests.api.node import Node
from tests.store.weak import Weak
from tests.store.weak import cpe as name_of
from tests.support import samples
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Flawed:
    """The host, its two CVEs, and the ids of its findings: those of the first CVE at port 80 and 81, then the second's
    at port 80 and 81. `cpe` is the name of its software.
    """

    node: Node
    ip: str
    product: str
    cves: tuple[str, str]
    vulns: tuple[int, int]
    softwares: tuple[int, ...]

    @property
    def ids(self) -> list[str]:
        """Of its findings; the second is of the other CVE than the first."""
        return [f"{self.ip}~{port}~tcp~{cve}" for port in (80, 81) for cve in self.cves]

    @property
    def cpe(self) -> str:
        """The product, any version."""
        return ":".join(name_of(self.product, "").split(":")[:5] + ["*"] * 8)

    def scan(self) -> None:
        """See it again, a day later than before."""
        found = samples.scan_of(self.ip, 80, 81, at=samples.T0 + timedelta(days=1), product=self.product)
        self.node.submitted(found)

    def withdraw(self, which: int) -> None:
        """A source says that it does not concern the product any more."""
        with self.node.services.database.connection() as connection:
            connection.execute(
                "UPDATE affected SET until = now() WHERE vuln = %s AND until IS NULL", [self.vulns[which]]
            )

    def tell(self, which: int) -> None:
        """And that it does."""
        for one in self.softwares:
            Weak(self.node.services.database).affected(one, self.vulns[which], datetime.now(UTC))


def settled(database: Database) -> None:
    """Wait until the evaluation that runs by itself has nothing left to do: else it may undo what a test writes."""

    def through() -> bool:
        due = software.due(database)
        return not (due.unnamed or due.fresh or due.again or due.news or due.products or due.walk)

    eventually(through)


def flawed(node: Node) -> Flawed:
    """A new one."""
    ip = samples.address()
    product = f"odd{ip.replace('.', '_')}"
    node.submitted(samples.scan_of(ip, 80, 81, product=product))
    database = node.services.database
    settled(database)
    tables = Weak(database)
    number = int(ip.rpartition(".")[2]) + 1000 * int(ip.split(".")[2])
    first, second = f"CVE-2088-{number:07}", f"CVE-2089-{number:07}"
    with database.connection() as connection:
        versions = connection.execute("SELECT version FROM service WHERE product = %s", [product]).fetchall()
    softwares = tuple(tables.software(product, version) for (version,) in versions)
    vulns = tables.vuln(first, 90.0, severity="critical", title="Bad"), tables.vuln(second, 20.0, severity="low")
    for one in softwares:
        for vuln in vulns:
            tables.affected(one, vuln, samples.T0)
    return Flawed(node, ip, product, (first, second), vulns, softwares)
