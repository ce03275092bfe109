"""CVEs and services for the tests of correlation: told as a sync tells them, and stored as an ingest stores them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from spectra.intel.correlate import rules_of, word
from spectra.model.observation import Service
from spectra.model.vulns import Criterion, Node, Status, Vuln
from spectra.store.content import Content, Known
from spectra.store.database import Connection, Database
from spectra.store.vulnrules import write_rules
from tests.flow.desk import rows

OPENSSH = "openbsd:openssh"
NGINX = "f5:nginx"
APACHE = "apache:http_server"


def cpe(product: str, version: str = "*", update: str = "*", part: str = "a") -> str:
    """A CPE 2.3 name; `product` is `vendor:product`."""
    return f"cpe:2.3:{part}:{product}:{version}:{update}:*:*:*:*:*:*"


def below(product: str, version: str) -> Criterion:
    """Every version of `product` before this one."""
    return Criterion(cpe(product), below=version)


def vuln(cve: str, *criteria: Criterion, status: Status = "", by: str = "nvd") -> Vuln:
    """A CVE that any of `criteria` is enough for; without any nobody says what is affected."""
    configurations = (Node(criteria=criteria),) if criteria else ()
    return Vuln(cve, status, configured=by if criteria else "", configurations=configurations)


def service(product: str, version: str) -> Service:
    """One that a scanner names."""
    name = f"cpe:/a:{product}:{version}"
    return Service(name="any", product=product.partition(":")[2], version=version, cpe=(name,))


def told(connection: Connection, *vulns: Vuln, news: bool = True) -> None:
    """Write what is said of CVEs now, and that it is new, in the transaction of `connection`."""
    now = datetime.now(UTC)
    nums: dict[str, int] = {}
    for v in vulns:
        _, year, number = v.cve.split("-")
        found = connection.execute(
            """INSERT INTO vuln (cve, sort, status, configured, changed) VALUES (%s, %s, %s, %s, %s)
               ON CONFLICT (cve) DO UPDATE SET status = excluded.status, configured = excluded.configured
               RETURNING num""",
            [v.cve, int(year) * 10**9 + int(number), v.status, v.configured, now],
        ).fetchone()
        assert found is not None
        nums[v.cve] = found[0]
    write_rules(connection, {nums[v.cve]: rules_of(v) for v in vulns}, list(nums.values()), word)
    for num in sorted(nums.values()) if news else ():
        connection.execute(
            "INSERT INTO vuln_news (num, at) VALUES (%s, %s) ON CONFLICT (num) DO UPDATE SET at = excluded.at",
            [num, now],
        )


def tell(database: Database, *vulns: Vuln) -> None:
    """As `told`, in a transaction of its own."""
    with database.transaction() as connection:
        told(connection, *vulns)


def synced(database: Database, at: datetime | None = None, *, running: str = "") -> None:
    """Note that a source was taken, as the end of a sync does; or that a sync is under way."""
    with database.connection() as connection:
        connection.execute(
            """INSERT INTO vuln_source (name, kind, source, checked, updated, running)
               VALUES ('nvd', 'nvd', 'upload', %(at)s, %(at)s, %(running)s)
               ON CONFLICT (name) DO UPDATE SET updated = excluded.updated, running = excluded.running""",
            {"at": at or datetime.now(UTC), "running": running},
        )


def store(database: Database, services: Iterable[Service]) -> None:
    """Store services, as an ingest does."""
    content = Content(Known())
    for s in services:
        content.service(s)
    content.write(database)


def open_findings(database: Database) -> set[tuple[str, str]]:
    """Every open finding: the version of the service, and the CVE."""
    found = rows(
        database,
        """SELECT s.cpe[1], v.cve FROM service s JOIN affected a ON a.software = s.software AND a.until IS NULL
           JOIN vuln v ON v.num = a.vuln""",
    )
    return {(name.removeprefix("cpe:/a:"), cve) for name, cve in found}


def everything(database: Database) -> list[tuple[Any, ...]]:
    """Every open finding of every service with its reason, in order; without dates and numbers that were given."""
    return sorted(
        rows(
            database,
            """SELECT s.id::text, v.cve, p.part || ':' || p.vendor || ':' || p.product, a.identity, a.criterion,
                      a.range, a.source, a.confidence, a.patched, a.requires::text
               FROM service s JOIN affected_by a ON a.software = s.software AND a.until IS NULL
               JOIN vuln v ON v.num = a.vuln JOIN product p ON p.id = a.product""",
        )
    )
