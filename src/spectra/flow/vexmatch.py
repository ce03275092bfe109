"""From what a VEX document calls its products to what decisions are about: endpoints, hosts, software everywhere.

A place that nobody saw, and software that runs nowhere, is told with the reason instead. Software by its CPE name or a
plain package URL is decided about everywhere, by the name that it was matched by; a build of a distribution only at the
endpoints that tell that build, since its CPE name says nothing of what the distribution repaired.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from spectra.errors import BadRequest
from spectra.intel.enrich.cpename import ANY, Cpe, parse
from spectra.intel.vex import marks, products
from spectra.intel.vex.names import covers, is_pattern
from spectra.intel.vex.products import Meant, Package, Site, Spot
from spectra.model.findings import Software
from spectra.model.triage import Target
from spectra.model.vex import MAX_DECISIONS, Claim, Named
from spectra.model.vulns import Product
from spectra.store import triagecheck, vexmatch
from spectra.store.database import Connection
from spectra.store.vexmatch import MAX_HOSTS, Maker, Ware


class Unmatched(Exception):
    """A product that is nothing here; the message says why."""


class _Known(NamedTuple):
    """What of the names of a document is known here."""

    hosts: set[str]
    endpoints: set[tuple[str, int, str]]
    addresses: dict[str, list[str]]
    makers: dict[Maker, Ware]
    words: dict[str, Ware]


class Matcher:
    """What the products of the claims of one document are here, as of now."""

    def __init__(self, connection: Connection, claims: Iterable[Claim]) -> None:
        self._connection = connection
        self._meant: dict[str, Meant | None] = {}
        self._places: dict[str, Target | None] = {}
        self._cached: dict[Named, list[Target] | str] = {}
        for claim in claims:
            for named in claim.products:
                self._look(named)
        self._known = self._ask()

    def targets(self, named: Named, cve: str) -> list[Target]:
        """What a decision about a CVE in this product is about. Raises `Unmatched`."""
        if named not in self._cached:
            try:
                self._cached[named] = list(dict.fromkeys(self._match(named)))
            except Unmatched as error:
                self._cached[named] = str(error)
        found = self._cached[named]
        if isinstance(found, str):
            raise Unmatched(found)
        return [target._replace(cve=cve) for target in found]

    def _look(self, named: Named) -> None:
        for names in (named.names, *named.parts):
            for name in names:
                if name not in self._meant:
                    self._places[name] = marks.read_place(name, "")
                    self._meant[name] = products.read(name) if self._places[name] is None else None
        if len(self._meant) > 10 * MAX_DECISIONS:
            raise BadRequest(f"The document has more than {10 * MAX_DECISIONS:,} names.", reason="too_many")

    def _ask(self) -> _Known:
        meant, placed = set(self._meant.values()), [t for t in self._places.values() if t]
        spots = [one for one in meant if isinstance(one, Spot)]
        spots += [Spot(t.ip, t.port, t.protocol) for t in placed if t.ip]
        addresses = vexmatch.addresses(self._connection, {one.name for one in meant if isinstance(one, Site)})
        sites = [one for one in meant if isinstance(one, Site)]
        spots += [Spot(ip, one.port, one.protocol) for one in sites for ip in addresses.get(one.name, ())]
        makers = {Maker(one.vendor, one.product) for one in meant if isinstance(one, Cpe)}
        words = {word for one in meant if isinstance(one, Package) for word in one.words if word}
        endpoints = {(one.ip, one.port, one.protocol) for one in spots if one.port is not None}
        return _Known(
            triagecheck.known_hosts(self._connection, {one.ip for one in spots}),
            vexmatch.known_endpoints(self._connection, list(endpoints)),
            addresses,
            vexmatch.wares(self._connection, list(makers)),
            vexmatch.worded(self._connection, list(words)),
        )

    # One product ------------------------------------------------------------------------------------------------------

    def _match(self, named: Named) -> Iterator[Target]:
        ours = next((place for name in named.names if (place := self._places[name])), None)
        if ours is not None:  # what is within it is only told to others
            yield from self._placed(Spot(ours.ip, ours.port, ours.protocol), ours.cpe)
            return
        meant = [one for name in named.names if (one := self._meant[name]) is not None]
        places = [one for one in meant if isinstance(one, Spot | Site)]
        if places:
            yield from self._at(places[0], named)
        elif not meant:
            raise Unmatched("It is no address, name of a host, CPE name or package that is known here.")
        elif named.parts:
            raise Unmatched("What is within another software cannot be told apart here.")
        else:
            yield from self._everywhere(meant)

    def _at(self, place: Spot | Site, named: Named) -> Iterator[Target]:
        """At a place; where parts are named, for those alone."""
        cpes = list(dict.fromkeys(self._parts(named.parts))) if named.parts else [""]
        for spot in self._spots(place):
            for cpe in cpes:
                yield from self._placed(spot, cpe)

    def _placed(self, spot: Spot, cpe: str) -> Iterator[Target]:
        if not spot.ip:
            yield Target("", cpe=cpe)
            return
        if spot.port is None:
            if spot.ip not in self._known.hosts:
                raise Unmatched("No such host was ever seen.")
            yield Target("", spot.ip, cpe=cpe)
            return
        if (spot.ip, spot.port, spot.protocol) not in self._known.endpoints:
            raise Unmatched("No such endpoint was ever seen.")
        yield Target("", spot.ip, spot.port, spot.protocol, cpe)

    def _spots(self, place: Spot | Site) -> list[Spot]:
        """The endpoints or hosts of a place; of a name with several addresses those where the port was seen."""
        if isinstance(place, Spot):
            return [place]
        ips = self._known.addresses.get(place.name, [])
        if not ips:
            raise Unmatched("No host was ever seen with that name.")
        if len(ips) > MAX_HOSTS:
            raise Unmatched(f"More than {MAX_HOSTS:,} addresses have that name.")
        spots = [Spot(ip, place.port, place.protocol) for ip in ips]
        if place.port is None:
            return spots
        seen = [one for one in spots if (one.ip, place.port, place.protocol) in self._known.endpoints]
        if not seen:
            raise Unmatched("No host of that name was ever seen with that port.")
        return seen

    def _parts(self, parts: Iterable[tuple[str, ...]]) -> Iterator[str]:
        """The CPE names of components within a place."""
        for names in parts:
            meant = [one for name in names if (one := self._meant[name]) is not None]
            cpes = [cpe for one in meant if isinstance(one, Cpe) for cpe in self._cpes(one)]
            cpes = cpes or [cpe for one in meant if isinstance(one, Package) for cpe in self._packaged(one)]
            if not cpes:
                raise Unmatched("A component within it is no software that runs anywhere here.")
            yield from cpes

    # Software ---------------------------------------------------------------------------------------------------------

    def _everywhere(self, meant: Iterable[Meant]) -> Iterator[Target]:
        """By its first name that is known: a CPE name says more than a package."""
        found = sorted((one for one in meant), key=_is_package)
        for one in found:
            if isinstance(one, Package) and one.built:
                targets = self._builds(one)
            else:
                cpes = (
                    self._packaged(one) if isinstance(one, Package) else self._cpes(one) if isinstance(one, Cpe) else []
                )
                targets = [Target("", cpe=cpe) for cpe in cpes]
            if targets:
                yield from targets
                return
        raise Unmatched(_why(found[0]))

    def _cpes(self, asked: Cpe) -> list[str]:
        """The names by which findings of it are matched: itself, where comparing it part by part finds the same."""
        ware = self._known.makers.get(Maker(asked.vendor, asked.product))
        if ware is None:
            return []
        found: dict[str, bool] = {}
        for name in _names(ware.software.values()):
            if Product(*name[:3]) not in ware.products:
                continue
            # A maker or product by another name is the same.
            same = asked._replace(vendor=name.vendor, product=name.product)
            if covers(same, name):
                found[str(name)] = all(part in (ANY, has) for part, has in zip(asked, name, strict=True))
        if not found:
            return []
        return [str(asked)] if all(found.values()) and not is_pattern(asked) else list(found)

    def _packaged(self, asked: Package) -> list[str]:
        """The names of the software that a package may be which is of no distribution."""
        if asked.type not in products.PLAIN_TYPES:
            return []
        found: dict[str, None] = {}
        for name in _names(self._of(asked).values()):
            if products.runs(asked, name):
                whole = name if asked.version else Cpe(*name[:3])
                found[str(whole)] = None
        return list(found)

    def _builds(self, asked: Package) -> list[Target]:
        """The endpoints that tell that build of a distribution."""
        candidates = self._of(asked)
        services = vexmatch.services(self._connection, candidates) if candidates else {}
        found: list[Target] = []
        chosen: dict[str, list[vexmatch.Service]] = {}
        for ident, software in candidates.items():
            for name in _names([software]):
                fits = [s for s in services.get(ident, ()) if products.is_build(asked, software, name, s.version)]
                if fits:
                    chosen.setdefault(str(name), []).extend(fits)
        for cpe, fits in chosen.items():
            endpoints = vexmatch.runs(self._connection, fits)
            if len(endpoints) > MAX_HOSTS:
                raise Unmatched(f"More than {MAX_HOSTS:,} endpoints run it.")
            found += [Target("", *endpoint, cpe) for endpoint in endpoints]
        return found

    def _of(self, asked: Package) -> dict[int, Software]:
        found: dict[int, Software] = {}
        for word in asked.words:
            if (ware := self._known.words.get(word)) is not None:
                found |= ware.software
        return found


def _names(found: Iterable[Software]) -> Iterator[Cpe]:
    for software in found:
        for identity in software.identities:
            if (name := parse(identity.cpe)) is not None:
                yield name


def _is_package(one: Meant) -> bool:
    return isinstance(one, Package)


def _why(one: Meant) -> str:
    if not isinstance(one, Package):
        return "No software that runs here has that name and version."
    if one.built:
        return "No endpoint tells that it runs that build of a distribution."
    if one.type not in products.PLAIN_TYPES:
        return f"Packages of the type {one.type[:20]} are no services."
    return "No software that runs here has that name and version."
