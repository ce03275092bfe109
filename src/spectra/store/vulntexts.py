"""What is said of CVEs that are named, and which products their sources name: public knowledge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spectra.model.vulnrecords import VulnSummary
from spectra.store.database import Database
from spectra.store.vulnsearch import summaries

Named = tuple[str, str]
"""A vendor and a product, as CPE names have them."""


def of(database: Database, cves: Sequence[str]) -> tuple[VulnSummary, ...]:
    """What is known of these CVEs, in their order, without those that nobody tells of."""
    with database.connection() as connection:
        rows = connection.execute("SELECT cve, num FROM vuln WHERE cve = ANY(%s)", [list(cves)])
        nums: dict[str, int] = dict(rows.fetchall())
        return summaries(connection, [nums[cve] for cve in dict.fromkeys(cves) if cve in nums])


def published(database: Database, products: Iterable[Named]) -> frozenset[Named]:
    """Those of `products` that a source of CVEs names: their names are no secret of a network."""
    asked = sorted(set(products))
    if not asked:
        return frozenset()
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT DISTINCT p.vendor, p.product FROM unnest(%s::text[], %s::text[]) AS w (vendor, product)"
            " JOIN product p ON p.product = w.product AND p.vendor = w.vendor",
            [[vendor for vendor, _ in asked], [product for _, product in asked]],
        )
        return frozenset((vendor, product) for vendor, product in rows)
