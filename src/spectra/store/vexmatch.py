"""What the products of a VEX document are here: hosts and endpoints that were seen, and software that runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, LiteralString, NamedTuple

import msgspec

from spectra.model.findings import Software
from spectra.model.vulns import CVE_ID, Product
from spectra.store.database import Connection
from spectra.store.timeline import PROTOCOL_NAME, PROTOCOL_NUMBER

MAX_HOSTS: Final = 1000
"""Addresses of one name, and endpoints of one package, that are told; one more says that there are more."""

_ENDPOINTS: LiteralString = """
SELECT k.n FROM unnest(%s::inet[], %s::int4[], %s::int2[]) WITH ORDINALITY AS k (ip, port, protocol, n)
WHERE EXISTS (SELECT FROM endpoint e WHERE (e.ip, e.port, e.protocol) = (k.ip, k.port, k.protocol))"""
_NAMED: LiteralString = """
SELECT k.name, h.ip FROM unnest(%s::text[]) AS k (name) CROSS JOIN LATERAL (
  SELECT DISTINCT host(h.ip) AS ip FROM hostname h
  WHERE reverse(h.name) = reverse(k.name) ORDER BY 1 LIMIT %s) h"""
# All products of the families that are asked for, by maker and product or by word.
_FAMILIES: LiteralString = """
SELECT DISTINCT k.n, f.part, f.vendor, f.product, f.id
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS k (vendor, product, n)
JOIN product p ON p.product = k.product AND k.vendor IN ('*', p.vendor) JOIN product f ON f.family = p.family"""
_WORDS: LiteralString = """
SELECT DISTINCT k.n, p.part, p.vendor, p.product, p.id
FROM unnest(%s::text[]) WITH ORDINALITY AS k (word, n) JOIN product p ON p.word = k.word"""
_SOFTWARE: LiteralString = """
SELECT l.product, s.id, s.body FROM software_product l JOIN software s ON s.id = l.software
WHERE l.product = ANY(%s::int4[])"""
_BUILDS: LiteralString = """
SELECT s.software, s.version, s.id FROM service s WHERE s.software = ANY(%s::int4[])"""
_RUNS: LiteralString = """
SELECT host(e.ip), e.port, e.protocol FROM endpoint e WHERE e.service = ANY(%s::uuid[]) AND e.state = 'o'
ORDER BY e.ip, e.port, e.protocol LIMIT %s"""
# Without an index: few documents name a weakness otherwise than by its CVE, and then all their names are asked at once.
_ALIASES: LiteralString = """
SELECT v.cve, t.details FROM vuln_text t JOIN vuln v USING (num) WHERE t.details LIKE ANY(%s::text[])"""

_decode = msgspec.json.Decoder(Software).decode


class Maker(NamedTuple):
    """A product as a CPE name tells it; `*`: of any vendor."""

    vendor: str
    product: str


class Ware(NamedTuple):
    """The software of a family of products, by id, and those products."""

    products: frozenset[Product]
    software: Mapping[int, Software]


class Service(NamedTuple):
    """A service of some software: its id and what it says its version is."""

    id: object
    version: str


def known_endpoints(connection: Connection, endpoints: Sequence[tuple[str, int, str]]) -> set[tuple[str, int, str]]:
    """Those of these endpoints that were ever seen."""
    columns = [
        [ip for ip, _, _ in endpoints],
        [port for _, port, _ in endpoints],
        [PROTOCOL_NUMBER[protocol] for _, _, protocol in endpoints],
    ]
    return {endpoints[n - 1] for (n,) in connection.execute(_ENDPOINTS, columns)}


def addresses(connection: Connection, names: Iterable[str]) -> dict[str, list[str]]:
    """The addresses that each of these host names (lower case) was seen with."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, ip in connection.execute(_NAMED, [list(names), MAX_HOSTS + 1]):
        found[name].append(ip)
    return found


def wares(connection: Connection, asked: Sequence[Maker]) -> dict[Maker, Ware]:
    """The software of each product, and of those that are the same under another name. Unknown ones are left out."""
    columns = [[one.vendor for one in asked], [one.product for one in asked]]
    return {asked[n]: ware for n, ware in _wares(connection, _FAMILIES, columns).items()}


def worded(connection: Connection, words: Sequence[str]) -> dict[str, Ware]:
    """The software of products with these words."""
    return {words[n]: ware for n, ware in _wares(connection, _WORDS, [list(words)]).items()}


def _wares(connection: Connection, statement: LiteralString, columns: list[list[str]]) -> dict[int, Ware]:
    products: dict[int, dict[int, Product]] = defaultdict(dict)
    for n, part, vendor, product, ident in connection.execute(statement, columns):
        products[n - 1][ident] = Product(part, vendor, product)
    bodies: dict[int, Software] = {}
    of: dict[int, list[int]] = defaultdict(list)
    wanted = sorted({ident for found in products.values() for ident in found})
    for product, ident, body in connection.execute(_SOFTWARE, [wanted]):
        if ident not in bodies:
            bodies[ident] = _decode(body)
        of[product].append(ident)
    return {
        n: Ware(frozenset(found.values()), {ident: bodies[ident] for product in found for ident in of[product]})
        for n, found in products.items()
    }


def services(connection: Connection, software: Iterable[int]) -> dict[int, list[Service]]:
    """The services of each software."""
    found: dict[int, list[Service]] = defaultdict(list)
    for ident, version, service in connection.execute(_BUILDS, [list(software)]):
        found[ident].append(Service(service, version))
    return found


def runs(connection: Connection, found: Sequence[Service]) -> list[tuple[str, int, str]]:
    """The open endpoints of these services, at most one more than `MAX_HOSTS`."""
    rows = connection.execute(_RUNS, [[one.id for one in found], MAX_HOSTS + 1])
    return [(ip, port, PROTOCOL_NAME[protocol]) for ip, port, protocol in rows]


def cves(connection: Connection, aliases: Iterable[str]) -> dict[str, list[str]]:
    """The CVEs that are known by these other names, such as GHSA ids. Reads through all texts: ask once."""
    wanted = {alias for alias in aliases if alias and not CVE_ID.fullmatch(alias)}
    if not wanted:
        return {}
    patterns = [f'%"{_literal(alias)}"%' for alias in wanted]
    found: dict[str, list[str]] = defaultdict(list)
    for cve, details in connection.execute(_ALIASES, [patterns]):
        told = msgspec.json.decode(details, type=_Details).aliases
        for alias in wanted.intersection(told):
            found[alias].append(cve)
    return found


class _Details(msgspec.Struct):
    aliases: tuple[str, ...] = ()


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
