"""What each CVE says of each product."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from spectra.intel.correlate import rules_of
from spectra.intel.vulns import merge
from spectra.model.vulns import Criterion, Node, Product, Rule
from spectra.store import vulns
from spectra.store.database import Connection, Database
from spectra.store.vulnrules import unpack_configurations
from tests.store.vulnfeed import affects, counted, record, rows, write

_RULES: Final = """
SELECT r.product, p.part, p.vendor, p.product, v.cve, v.configured, r.body, v.status
FROM vuln_rule r JOIN vuln v USING (num) JOIN product p ON p.id = r.product
WHERE r.product = ANY(%(products)s) AND (%(nums)s::int4[] IS NULL OR r.num = ANY(%(nums)s))
ORDER BY r.product, v.sort"""


def rules(
    connection: Connection, products: Collection[int], nums: Collection[int] | None = None
) -> dict[int, list[Rule]]:
    """The rules about each of these products (ids), in order of CVE; only those of the CVEs `nums` where given."""
    given = {"products": list(products), "nums": None if nums is None else list(nums)}
    found: dict[int, list[Rule]] = {}
    for key, part, vendor, product, cve, source, body, status in connection.execute(_RULES, given, binary=True):
        about = Product(part, vendor, product)
        found.setdefault(key, []).append(Rule(cve, source, about, unpack_configurations(body), status))
    return found


def ids(database: Database) -> dict[str, int]:
    """Products by name."""
    return dict(rows(database, "SELECT product, id FROM product"))


def test_rules_come_back_by_product(database: Database) -> None:
    """In order of CVE, with source and status; only those of some CVEs where that is asked for."""
    records = [record(number, "httpd", "proxy") for number in (10, 9, 100)]
    records.append(record(11, "httpd", status="disputed"))
    write(database, records)
    known = ids(database)
    with database.connection() as connection:
        found = rules(connection, known.values())
        assert [rule.cve for rule in found[known["httpd"]]] == [f"CVE-2026-{n:04}" for n in (9, 10, 11, 100)]
        assert [rule.status for rule in found[known["httpd"]]] == ["", "", "disputed", ""]
        wanted = {rule.product.product: rule for rule in rules_of(merge([records[0]]))}
        assert found[known["proxy"]][1] == wanted["proxy"]
        nums = vulns.nums(connection, ["CVE-2026-0009"]).values()
        some = rules(connection, [known["httpd"]], nums)
        assert [rule.cve for rule in some[known["httpd"]]] == ["CVE-2026-0009"]
        assert rules(connection, [known["httpd"]], []) == {}
        assert rules(connection, []) == {}


def test_products_are_their_own_family_at_first(database: Database) -> None:
    """With the word that they are looked up by; a name that is known gets no second id."""
    write(database, [record(1, "http_server"), record(2, "http_server", "proxy")])
    before = ids(database)
    write(database, [record(3, "http_server", "squid")])
    assert {name: ids(database)[name] for name in before} == before
    assert rows(database, "SELECT count(*) FROM product WHERE family <> id OR word = ''") == [(0,)]


def test_rules_follow_their_cve(database: Database) -> None:
    """A product that is not named any more loses its rule, another gets one, and the counts follow."""
    write(database, [record(1, "httpd", "proxy"), record(2, "proxy")])
    write(database, [record(1, "httpd", "squid", day=2)])
    counts = rows(database, "SELECT product, vulns FROM product ORDER BY product")
    assert counts == [("httpd", 1), ("proxy", 1), ("squid", 1)]
    write(database, [record(1, day=3, status="rejected", configurations=affects("httpd"))])
    assert rows(database, "SELECT product, vulns FROM product WHERE vulns > 0") == [("proxy", 1)]
    assert counted(database)


def test_names_that_no_index_holds(database: Database) -> None:
    """A product of 3,000 letters is no product; the others of the CVE have their rules."""
    long = Criterion(f"cpe:2.3:a:acme:{'x' * 900}{'é' * 100}:*:*:*:*:*:*:*:*")
    write(
        database,
        [record(1, configurations=(Node(criteria=(long, Criterion("cpe:2.3:a:acme:httpd:1:*:*:*:*:*:*:*"))),))],
    )
    assert list(ids(database)) == ["httpd"]
