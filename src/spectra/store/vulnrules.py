"""The rules of CVEs: what each says of each product, and the products that any CVE names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from spectra.model.vulns import Node, Product, Rule
from spectra.store import packing
from spectra.store.database import Connection
from spectra.store.rows import encode

_MAX_NAME: Final = 1000  # bytes of vendor and product: an index entry of PostgreSQL holds 2,704

unpack_configurations: Final = packing.unpacker(tuple[Node, ...])
"""`vuln_rule.body` to the configurations of a rule."""

# `family` is its own id until families are learned.
_PRODUCTS: Final = """
WITH told AS MATERIALIZED (
  SELECT nextval(pg_get_serial_sequence('product', 'id'))::int4 AS id, part, vendor, product, word
  FROM json_to_recordset(%s::json) AS r (part text, vendor text, product text, word text))
INSERT INTO product (id, part, vendor, product, word, family) OVERRIDING SYSTEM VALUE
SELECT id, part, vendor, product, word, id FROM told
ON CONFLICT (product, vendor, part) DO NOTHING"""

_IDS: Final = """
SELECT p.id, p.part, p.vendor, p.product FROM product p
JOIN unnest(%s::text[], %s::text[], %s::text[]) AS t (part, vendor, product)
  ON p.product = t.product AND p.vendor = t.vendor AND p.part = t.part"""

_PUT: Final = """
INSERT INTO vuln_rule (product, num, body)
SELECT product, num, decode(body, 'base64')
FROM json_to_recordset(%s::json) AS r (product int4, num int4, body text)
ORDER BY product, num
ON CONFLICT (product, num) DO UPDATE SET body = excluded.body"""

_GONE: Final = """
DELETE FROM vuln_rule r USING unnest(%s::int4[], %s::int4[]) AS t (product, num)
WHERE r.product = t.product AND r.num = t.num"""

_COUNT: Final = """
UPDATE product p SET vulns = p.vulns + t.n
FROM (SELECT * FROM unnest(%s::int4[], %s::int4[]) AS u (id, n) ORDER BY id) t WHERE p.id = t.id"""


def write_rules(
    connection: Connection, told: Mapping[int, Sequence[Rule]], known: Collection[int], word: Callable[[str], str]
) -> set[int]:
    """Make `told` all the rules of these CVEs (numbers); returns the CVEs whose rules are others now.

    `known` are those of them that may have rules already. The caller holds the lock of the writers.
    """
    packed = {
        (num, rule.product): packing.pack(rule.configurations)
        for num, rules in told.items()
        for rule in rules
        if _fits(rule.product)
    }
    ids = _ids(connection, {product for _, product in packed}, word)
    now = {(ids[product], num): body for (num, product), body in packed.items()}
    held = _held(connection, known)
    put = {key: body for key, body in now.items() if held.get(key) != body}
    gone = held.keys() - now.keys()
    if put:
        rows = [{"product": product, "num": num, "body": body} for (product, num), body in put.items()]
        connection.execute(_PUT, [encode(rows).decode()])
    if gone:
        connection.execute(_GONE, [[product for product, _ in gone], [num for _, num in gone]])
    _count(connection, [product for product, num in put if (product, num) not in held], [p for p, _ in gone])
    return {num for _, num in put} | {num for _, num in gone}


def _fits(product: Product) -> bool:
    name = f"{product.vendor}{product.product}{product.part}"
    return len(name.encode()) <= _MAX_NAME and "\x00" not in name


def _held(connection: Connection, nums: Collection[int]) -> dict[tuple[int, int], bytes]:
    if not nums:
        return {}
    query = "SELECT product, num, body FROM vuln_rule WHERE num = ANY(%s)"
    rows = connection.execute(query, [list(nums)], binary=True)
    return {(product, num): body for product, num, body in rows}


def _ids(connection: Connection, products: set[Product], word: Callable[[str], str]) -> dict[Product, int]:
    """The ids of these products; those that nobody named before are added."""
    found = _find(connection, products)
    if missing := sorted(products - found.keys()):
        rows = [{**msgspec.structs.asdict(product), "word": word(product.product)} for product in missing]
        connection.execute(_PRODUCTS, [encode(rows).decode()])
        found |= _find(connection, missing)
    return found


def _find(connection: Connection, products: Iterable[Product]) -> dict[Product, int]:
    columns = list(zip(*((p.part, p.vendor, p.product) for p in products), strict=True)) or [(), (), ()]
    rows = connection.execute(_IDS, [list(column) for column in columns], binary=True)
    return {Product(*names): number for number, *names in rows}


def _count(connection: Connection, more: Iterable[int], fewer: Iterable[int]) -> None:
    """`product.vulns`: in how many CVEs' rules it is."""
    change: dict[int, int] = {}
    for products, by in ((more, 1), (fewer, -1)):
        for product in products:
            change[product] = change.get(product, 0) + by
    change = {product: n for product, n in change.items() if n}
    if change:
        connection.execute(_COUNT, [list(change), list(change.values())])
