"""Made-up services of real products: what a scan of very many machines would bring, in nmap's own XML.

Products that are known by name (`intel/enrich/products.py`) and that the loaded feeds tell of, in the versions that
CVEs name as affected or as bounds of what is: as released, as builds of distributions, and with other words around
them. The same ones for the same feeds and number.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import quoteattr

from spectra.bench import hosts, load
from spectra.bench.server import BenchServer
from spectra.errors import SpectraError
from spectra.intel.correlate.rules import name_of
from spectra.intel.enrich.cpename import ANY, NA
from spectra.intel.enrich.products import NAMES, UPDATES
from spectra.model.observation import Service
from spectra.model.vulns import Criterion, Node, Product
from spectra.store import affected, software
from spectra.store.affected import StoredRule
from spectra.store.database import Database

_PLAIN: Final = re.compile(r"\d[A-Za-z0-9._]{0,23}")
_SEEN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_PER_HOST: Final = 4
_BATCH: Final = 1000  # hosts of an envelope
_CLIENTS: Final = 4
_BUILDS: Final = 5  # of so many services of one version, three are builds of distributions; the others are one software


class Ware(NamedTuple):
    """A product: what scanners call it, what feeds call it, and its versions."""

    name: str
    product: Product
    versions: tuple[str, ...]


def wares(database: Database) -> list[Ware]:
    """The products that are known by name and that the stored feeds tell of, in order."""
    names = {maker: name for name, maker in reversed(NAMES.items())}
    with database.transaction() as connection:
        products = software.counted(connection)
        known = {p: products[p] for p in (Product("a", *maker) for maker in names) if p in products}
        told = affected.rules(connection, sorted({family.family for family in known.values()}))
    found = [Ware(names[p.vendor, p.product], p, _versions(told[f.family])) for p, f in sorted(known.items())]
    return [ware for ware in found if ware.versions]


def _versions(rules: Sequence[StoredRule]) -> tuple[str, ...]:
    """Every version that these rules mention of their own products."""
    return tuple(sorted({v for r in rules for node in r.rule.configurations for v in _told(node, r.rule.product)}))


def _told(node: Node, product: Product) -> Iterator[str]:
    for criterion in node.criteria:
        yield from (v for v in _of(criterion, product) if _PLAIN.fullmatch(v))
    for child in node.children:
        yield from _told(child, product)


def _of(criterion: Criterion, product: Product) -> Iterator[str]:
    name = name_of(criterion.cpe)
    if name is None or (name.part, name.vendor, name.product) != (product.part, product.vendor, product.product):
        return
    if name.version not in (ANY, NA):
        patch = name.update if (name.vendor, name.product) in UPDATES and name.update not in (ANY, NA) else ""
        yield f"{name.version}{patch}".replace("\\", "")
    yield from (criterion.at_least, criterion.above, criterion.at_most, criterion.below)


def services(known: Sequence[Ware], count: int) -> list[Service]:
    """`count` services, all different, of at least half as many different software; raises `SpectraError` for none."""
    rng = random.Random(20_240_701)  # noqa: S311 - repeatable, not secret
    pairs = [(ware, version) for ware in known for version in ware.versions]
    if not pairs:
        raise SpectraError("The feeds tell of no version of any product that is known by name.", reason="bench_feeds")
    rng.shuffle(pairs)
    made: dict[Service, None] = {}
    for service in islice(_endless(pairs, rng), 20 * count + 1000):
        made[service] = None
        if len(made) == count:
            break
    return list(made)


def _endless(pairs: Sequence[tuple[Ware, str]], rng: random.Random) -> Iterator[Service]:
    for turn in count():
        for ware, version in pairs:
            build = turn % _BUILDS not in (0, _BUILDS // 2)
            yield _build(ware, version, rng) if build else _plain(ware, version, turn)


def _plain(ware: Ware, version: str, turn: int) -> Service:
    """As its makers released it, with words around it that tell nothing of what it is."""
    p = ware.product
    cpe = () if len(version) % 2 else (f"cpe:/a:{p.vendor}:{p.product}:{version}",)
    return Service("http", ware.name, version, f"site {turn}" if turn else "", cpe=cpe)


def _build(ware: Ware, version: str, rng: random.Random) -> Service:
    """A distribution's build, as package versions and banners write it."""
    number, patch = rng.randrange(1, 60), rng.randrange(1, 30)
    which = rng.randrange(4)
    if which == 0:
        return Service("http", ware.name, f"{version}-{number}+deb{rng.randrange(9, 13)}u{patch}", os="Linux")
    if which == 1:
        return Service("http", ware.name, f"{version}-{number}ubuntu0.{patch}", "Ubuntu", os="Linux")
    if which == 2:
        return Service("http", ware.name, f"{version}-{number}.el{rng.randrange(7, 10)}_{patch % 10}.{patch % 4}")
    return Service("http", ware.name, f"{version}-r{number}", f"Alpine Linux 3.{patch}", os="Linux")


def submit(server: BenchServer, made: Sequence[Service], folder: Path, say: load.Progress) -> int:
    """Write the services through the gate, as scans of hosts with a few services each; returns how many hosts."""
    folder.mkdir()
    groups = [made[i : i + _PER_HOST] for i in range(0, len(made), _PER_HOST)]
    files: list[Path] = []
    for first in range(0, len(groups), _BATCH):
        file = folder / f"{first:09d}.json"
        xml = nmap_xml(first, groups[first : first + _BATCH])
        file.write_bytes(load.signed(server.key, server.contributor, xml, _SEEN))
        files.append(file)
    load.submit_all(server, files, clients=_CLIENTS, progress=say)
    return len(groups)


def nmap_xml(first: int, groups: Sequence[Sequence[Service]]) -> bytes:
    """An nmap XML document of hosts from number `first` on, each with one group of services."""
    at = int(_SEEN.timestamp()) - 60
    inner = "".join(_host_xml(first + i, group, at) for i, group in enumerate(groups))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n'
        f'<nmaprun scanner="nmap" args="nmap -sV -oX -" start="{at}" version="7.93" xmloutputversion="1.05">\n{inner}'
        f'<runstats><finished time="{at}"/><hosts up="{len(groups)}" down="0" total="{len(groups)}"/></runstats>\n'
        "</nmaprun>\n"
    ).encode()


def _host_xml(number: int, group: Sequence[Service], at: int) -> str:
    ports = "".join(
        f'<port protocol="tcp" portid="{8000 + i}"><state state="open" reason="syn-ack" reason_ttl="64"/>'
        f'<service name="{s.name}" product={quoteattr(s.product)} version={quoteattr(s.version)} '
        f'extrainfo={quoteattr(s.extra)} ostype={quoteattr(s.os)} method="probed" conf="10">'
        f"{''.join(f'<cpe>{name}</cpe>' for name in s.cpe)}</service></port>\n"
        for i, s in enumerate(group)
    )
    return (
        f'<host starttime="{at}" endtime="{at}"><status state="up" reason="syn-ack" reason_ttl="64"/>\n'
        f'<address addr="{hosts.address(number)}" addrtype="ipv4"/>\n<ports>{ports}</ports>\n</host>\n'
    )
