"""Software in the tables as naming services leaves it, with the products that it is linked to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from spectra.intel.correlate import products_of, word
from spectra.model.findings import Distribution, Identity, Software
from spectra.model.vulns import Product
from spectra.store.database import Connection, Database, one


def product(connection: Connection, named: Product, leader: Product | None = None) -> int:
    """The id of a product, made where it is not there; of the family of `leader`."""
    row = connection.execute(
        "SELECT id FROM product WHERE (part, vendor, product) = (%s, %s, %s)", [*_three(named)]
    ).fetchone()
    if row is not None:
        return row[0]
    family = product(connection, leader) if leader else None
    return one(
        connection.execute(
            """INSERT INTO product (id, part, vendor, product, word, family) OVERRIDING SYSTEM VALUE
               SELECT n, %s, %s, %s, %s, coalesce(%s, n) FROM nextval(pg_get_serial_sequence('product', 'id')) AS n
               RETURNING id""",
            [*_three(named), word(named.product), family],
        )
    )[0]


def _three(named: Product) -> Sequence[str]:
    return named.part, named.vendor, named.product


def software(database: Database, cpes: Sequence[str], said: tuple[str, str], build: Distribution | None = None) -> int:
    """What the stored services with this product and version are; returns the id."""
    body = Software(tuple(Identity(cpe, 0.9, "by its banner") for cpe in cpes), distribution=build)
    with database.connection() as connection:
        ident = one(
            connection.execute(
                "INSERT INTO software (fingerprint, body, pending) VALUES (%s, %s, NULL) RETURNING id",
                [uuid.UUID(bytes=body.fingerprint[:16]), msgspec.json.encode(body).decode()],
            )
        )[0]
        for named in products_of(body):
            link = [product(connection, named), ident]
            connection.execute("INSERT INTO software_product (product, software) VALUES (%s, %s)", link)
        connection.execute("UPDATE service SET software = %s WHERE product = %s AND version = %s", [ident, *said])
    return ident
