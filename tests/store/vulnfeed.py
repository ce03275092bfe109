"""Records of weaknesses for tests of the store, and what this release makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from spectra.intel.correlate import rules_of, word
from spectra.intel.priority import risk
from spectra.intel.vulns import merge
from spectra.model.vulns import Criterion, Metric, Node, VulnRecord
from spectra.store.database import Database
from spectra.store.vulnwrite import Knowledge, Outcome, Writer

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
INTEL = Knowledge(merge, rules_of, word, risk)
HIGH = Metric("3.1", 7.5, "high", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N")


def name(product: str, vendor: str = "acme") -> str:
    """The CPE name of any version of a product."""
    return f"cpe:2.3:a:{vendor}:{product}:*:*:*:*:*:*:*:*"


def affects(*products: str, below: str = "2.0") -> tuple[Node, ...]:
    """Configurations in which each of these products is vulnerable below a version."""
    return (Node(criteria=tuple(Criterion(name(product), below=below) for product in products)),)


def record(number: int, *products: str, day: int = 1, source: str = "nvd", **fields: Any) -> VulnRecord:
    """What a source says of CVE-2026-`number` on a day; it says something else on another day."""
    told: dict[str, Any] = {
        "description": f"Weakness {number} as {source} told on day {day}.",
        "published": NOW,
        "modified": NOW + timedelta(days=day),
        "metrics": (HIGH,),
        "configurations": affects(*products) if products else (),
    }
    return VulnRecord(f"CVE-2026-{number:04}", source, **told | fields)


def write(database: Database, records: Sequence[VulnRecord], now: datetime = NOW) -> Outcome:
    """One batch."""
    with database.transaction() as connection:
        return Writer(connection, INTEL, now).write(records)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    with database.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def counted(database: Database) -> bool:
    """Whether `product.vulns` is what counting gives."""
    wrong = """SELECT p.product FROM product p LEFT JOIN vuln_rule r ON r.product = p.id
               GROUP BY p.id HAVING p.vulns <> count(r.num)"""
    return not rows(database, wrong)


def corpus(database: Database) -> dict[str, list[str]]:
    """All that was written of weaknesses, but for numbers and times that depend on the order of writing."""
    queries = {
        "vuln": "SELECT cve, sort, status, severity, cvss, epss, kev, ransomware, risk, modified, configured FROM vuln",
        "text": "SELECT cve, title, description, details, weaknesses FROM vuln_text JOIN vuln USING (num)",
        "record": """SELECT cve, source, digest, r.modified, r.configured, scored
                     FROM vuln_record r JOIN vuln USING (num)""",
        "rule": """SELECT cve, part, vendor, p.product, body FROM vuln_rule r JOIN vuln USING (num)
                   JOIN product p ON p.id = r.product""",
        "product": "SELECT part, vendor, product, word, vulns FROM product WHERE vulns > 0",
    }
    return {table: sorted(map(repr, rows(database, query))) for table, query in queries.items()}
