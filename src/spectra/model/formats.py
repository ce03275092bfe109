"""Matches in other tools' formats, as text that can be written while the matches still come.

nmap XML by nmap's own DTD (https://nmap.org/book/nmap-dtd.html), and GeoJSON (RFC 7946). Both are by host: the matches
have to come in order of address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape, quoteattr

from spectra import __version__
from spectra.model.safe import acting, safe_json

if TYPE_CHECKING:
    from spectra.model.records import Match

BANNER_CHARS: Final = 200
"""A banner that a search cuts is not passed on as if it were whole."""

# XML 1.0 section 2.2: what a document cannot hold, not even escaped.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def hosts(matches: Iterable[Match]) -> Iterator[list[Match]]:
    """The matches of each host; they come in order of address."""
    for _, group in groupby(matches, key=lambda match: match.ip):
        yield list(group)


# nmap XML ------------------------------------------------------------------------------------------------------------


def nmap_xml(matches: Iterable[Match], query: str, now: datetime) -> Iterator[str]:
    """A document that nmap's readers take: the endpoints with service, title and (whole) banner, and hosts' names.

    A host is dated by its newest endpoint. Certificates are not told: nmap's form of them needs their DER form. The
    DTD allows no other scanner than nmap; `args` says who wrote it.
    """
    start = int(now.timestamp())
    args = _attribute(f"spectra export {query}".strip())
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n'
    yield (
        f'<nmaprun scanner="nmap" args={args} start="{start}" startstr={_attribute(_words(now))}'
        f' version="{__version__}" xmloutputversion="1.05">\n<verbose level="0"/>\n<debugging level="0"/>\n'
    )
    up = 0
    for endpoints in hosts(matches):
        up += 1
        yield _host(endpoints)
    yield (
        f'<runstats><finished time="{start}" timestr={_attribute(_words(now))} elapsed="0" exit="success"/>'
        f'<hosts up="{up}" down="0" total="{up}"/>\n</runstats>\n</nmaprun>\n'
    )


def _host(endpoints: list[Match]) -> str:
    first = endpoints[0]
    seen = int(max(match.last_seen for match in endpoints).timestamp())
    family = "ipv6" if ":" in first.ip else "ipv4"
    names = "".join(f"<hostname name={_attribute(name)}/>\n" for name in first.hostnames)
    ports = "".join(_port(match) for match in endpoints)
    return (
        f'<host starttime="{seen}" endtime="{seen}"><status state="up" reason="unknown-response" reason_ttl="0"/>\n'
        f'<address addr="{first.ip}" addrtype="{family}"/>\n<hostnames>\n{names}</hostnames>\n'
        f"<ports>{ports}</ports>\n</host>\n"
    )


def _port(match: Match) -> str:
    reason = {"open": "syn-ack", "closed": "reset"}.get(match.state, "no-response")
    banner = match.banner if len(match.banner) < BANNER_CHARS else ""
    scripts = "".join(
        f"<script id={_attribute(name)} output={_attribute(said)}/>"
        for name, said in (("http-title", match.title), ("banner", banner))
        if said
    )
    return (
        f'<port protocol="{match.protocol}" portid="{match.port}"><state state="{match.state}" reason="{reason}"'
        f' reason_ttl="0"/>{_service(match)}{scripts}</port>\n'
    )


def _service(match: Match) -> str:
    """`probed` is what says to a reader that it was found out, not looked up by the number of the port."""
    told = (
        ("product", match.product),
        ("version", match.version),
        ("extrainfo", match.extra),
        ("tunnel", "ssl" if match.tunnel else ""),
        ("ostype", match.os),
        ("devicetype", match.device),
    )
    if not (match.service or match.cpe or any(value for _, value in told)):
        return ""
    attributes = "".join(f" {name}={_attribute(value)}" for name, value in told if value)
    names = "".join(f"<cpe>{_text(name)}</cpe>" for name in match.cpe)
    return f'<service name={_attribute(match.service)}{attributes} method="probed" conf="10">{names}</service>'


def _visible(text: str) -> str:
    return _NOT_XML.sub(lambda found: f"\\x{ord(found.group()):02x}", text)


def _attribute(text: str) -> str:
    """Quoted; what acts on a terminal is written as a reference, and read back as what it was."""
    return acting(quoteattr(_visible(text)), lambda char: f"&#{ord(char)};")


def _text(text: str) -> str:
    return acting(escape(_visible(text)), lambda char: f"&#{ord(char)};")


def _words(moment: datetime) -> str:
    """As nmap writes times: `Sun Mar  1 12:00:00 2026`, in UTC."""
    return moment.astimezone(UTC).strftime("%a %b %e %H:%M:%S %Y")


# GeoJSON -------------------------------------------------------------------------------------------------------------


class GeoJson:
    """A FeatureCollection with a point for each host whose coordinates are known; `placed` and `unplaced` count."""

    def __init__(self, matches: Iterable[Match]) -> None:
        self._matches = matches
        self.placed = 0
        self.unplaced = 0

    def __iter__(self) -> Iterator[str]:
        yield '{"type":"FeatureCollection","features":['
        for endpoints in hosts(self._matches):
            feature = _feature(endpoints)
            if feature is None:
                self.unplaced += 1
                continue
            line = safe_json(json.dumps(feature, ensure_ascii=False, separators=(",", ":")))
            yield f",\n{line}" if self.placed else f"\n{line}"
            self.placed += 1
        yield "\n]}\n"


def _feature(endpoints: list[Match]) -> dict[str, Any] | None:
    """RFC 7946 section 3.2. A position is longitude before latitude (section 3.1.1): of the city, not of the host."""
    first, place = endpoints[0], endpoints[0].place
    if place is None or place.latitude is None or place.longitude is None:
        return None
    properties: dict[str, Any] = {
        "ip": first.ip,
        "hostnames": list(first.hostnames),
        "asn": place.asn or None,
        "org": place.org,
        "country": place.country,
        "region": place.region,
        "city": place.city,
        "cloud": place.cloud,
        "last_seen": max(match.last_seen for match in endpoints).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ports": [_described(match) for match in endpoints],
    }
    return {
        "type": "Feature",
        "id": first.ip,
        "geometry": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
        "properties": {name: value for name, value in properties.items() if value},
    }


def _described(match: Match) -> dict[str, Any]:
    told: dict[str, Any] = {
        "port": match.port,
        "protocol": match.protocol,
        "service": match.service,
        "product": match.product,
        "version": match.version,
    }
    return {name: value for name, value in told.items() if value}
