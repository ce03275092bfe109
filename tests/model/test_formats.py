"""Other tools' formats: what is written is read back as what it was."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from spectra.ingest.parsers import Context, parse
from spectra.model.envelope import Privacy
from spectra.model.facts import Place
from spectra.model.formats import GeoJson, nmap_xml
from spectra.model.observation import Banner, EndpointSeen, HostSeen, Service
from spectra.model.records import Match

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

# What our own parsers let into the store: no blanks at the ends or in a row, nothing that no text holds.
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp", "Cf")), max_size=20)


@st.composite
def matches(draw: st.DrawFn) -> list[Match]:
    """Endpoints of a few hosts, in order of address."""
    found: list[Match] = []
    for ip in ("192.0.2.1", "192.0.2.2", "2001:db8::1")[: draw(st.integers(0, 3))]:
        for port in sorted(draw(st.sets(st.integers(0, 65535), min_size=1, max_size=3))):
            found.append(
                Match(
                    ip,
                    port,
                    draw(st.sampled_from(("tcp", "udp", "sctp"))),
                    draw(st.sampled_from(("open", "closed", "filtered"))),
                    NOW,
                    NOW - timedelta(seconds=draw(st.integers(0, 99))),
                    service=draw(st.sampled_from(("", "http", "a<b&c"))),
                    product=draw(words),
                    version=draw(words),
                    extra=draw(words),
                    os=draw(words),
                    device=draw(words),
                    tunnel=draw(st.sampled_from(("", "tls"))),
                    cpe=draw(st.sampled_from(((), ("cpe:/a:x:y:1",)))),
                    title=draw(st.sampled_from(("", "Hello & <b>good</b> “bye”"))),
                    banner=draw(st.sampled_from(("", "220 ready", "x" * 200))),
                )
            )
    return found


def parsed(document: str) -> list[HostSeen]:
    """What an import of `document` would keep."""
    _, records = parse(io.BytesIO(document.encode()), Context(default_time=NOW, privacy=Privacy.FULL))
    return [record for record in records if isinstance(record, HostSeen)]


def as_seen(match: Match) -> EndpointSeen:
    """The endpoint that has to come back."""
    told = Service(match.service, match.product, match.version, match.extra, match.os, match.device, match.tunnel,
                   match.cpe)  # fmt: skip
    banner = match.banner if len(match.banner) < 200 else ""
    return EndpointSeen(
        match.port,
        match.protocol,  # pyright: ignore[reportArgumentType] - one of the three
        match.state,  # pyright: ignore[reportArgumentType] - one of the three
        told if told != Service() else None,
        Banner(banner, match.title) if banner or match.title else None,
    )


@given(found=matches())
def test_nmap_xml_is_imported_as_what_it_was(found: list[Match]) -> None:
    """The same hosts, ports, services and titles, dated by the newest endpoint; a banner that was cut is left out."""
    hosts = parsed("".join(nmap_xml(found, "", NOW)))
    assert [h.ip for h in hosts] == list(dict.fromkeys(m.ip for m in found))
    for host in hosts:
        own = [m for m in found if m.ip == host.ip]
        assert sorted(host.endpoints, key=lambda e: e.port) == [as_seen(m) for m in own]
        assert host.seen_at == max(m.last_seen for m in own)


@given(found=matches())
def test_nmap_xml_is_what_the_dtd_asks_for(found: list[Match]) -> None:
    """Element order and attributes of nmap's DTD, as far as they are written here."""
    document = "".join(nmap_xml(found, 'product:"a b" <x>', NOW)).encode()
    assert _DTD.validate(etree.fromstring(document)), _DTD.error_log


# The part of nmap.dtd (7.93) that an export uses, with its order of elements.
_DTD = etree.DTD(
    io.StringIO("""
<!ELEMENT nmaprun (verbose, debugging, host*, runstats)>
<!ATTLIST nmaprun scanner (nmap) #REQUIRED args CDATA #IMPLIED start CDATA #IMPLIED startstr CDATA #IMPLIED
  version CDATA #REQUIRED xmloutputversion CDATA #REQUIRED>
<!ELEMENT verbose EMPTY> <!ATTLIST verbose level CDATA #IMPLIED>
<!ELEMENT debugging EMPTY> <!ATTLIST debugging level CDATA #IMPLIED>
<!ELEMENT host (status, address, hostnames, ports)>
<!ATTLIST host starttime CDATA #IMPLIED endtime CDATA #IMPLIED>
<!ELEMENT status EMPTY>
<!ATTLIST status state (up|down|unknown|skipped) #REQUIRED reason CDATA #REQUIRED reason_ttl CDATA #REQUIRED>
<!ELEMENT address EMPTY> <!ATTLIST address addr CDATA #REQUIRED addrtype (ipv4|ipv6|mac) "ipv4">
<!ELEMENT hostnames (hostname)*> <!ELEMENT hostname EMPTY> <!ATTLIST hostname name CDATA #IMPLIED>
<!ELEMENT ports (port*)> <!ELEMENT port (state, service?, script*)>
<!ATTLIST port protocol (ip|tcp|udp|sctp) #REQUIRED portid CDATA #REQUIRED>
<!ELEMENT state EMPTY>
<!ATTLIST state state CDATA #REQUIRED reason CDATA #REQUIRED reason_ttl CDATA #REQUIRED>
<!ELEMENT service (cpe*)> <!ELEMENT cpe (#PCDATA)>
<!ATTLIST service name CDATA #REQUIRED conf (0|1|2|3|4|5|6|7|8|9|10) #REQUIRED method (table|probed) #REQUIRED
  version CDATA #IMPLIED product CDATA #IMPLIED extrainfo CDATA #IMPLIED tunnel (ssl) #IMPLIED ostype CDATA #IMPLIED
  devicetype CDATA #IMPLIED>
<!ELEMENT script EMPTY> <!ATTLIST script id CDATA #REQUIRED output CDATA #REQUIRED>
<!ELEMENT runstats (finished, hosts)>
<!ELEMENT finished EMPTY>
<!ATTLIST finished time CDATA #REQUIRED timestr CDATA #IMPLIED elapsed CDATA #REQUIRED exit CDATA #IMPLIED>
<!ELEMENT hosts EMPTY> <!ATTLIST hosts up CDATA "0" down CDATA "0" total CDATA #REQUIRED>
""")
)


def test_hostile_text_stays_text() -> None:
    """Quotes, markup, controls and direction marks leave the document whole and the terminal alone."""
    evil = "\x1b[2J\"'<!--]]>&\x00\u202e\n\x9b\ud800"
    match = Match("192.0.2.1", 80, "tcp", "open", NOW, NOW, service="http", product=evil, title=evil, cpe=(evil,))
    document = "".join(nmap_xml([match], evil, NOW))
    assert not set(document) & {"\x1b", "\x00", "\u202e", "\x9b", "\ud800"}
    root = etree.fromstring(document.encode())
    service = root.find("host/ports/port/service")
    assert service is not None
    assert service.get("product") == "\\x1b[2J\"'<!--]]>&\\x00\u202e\n\x9b\\xd800"
    placed = msgspec.structs.replace(match, place=Place(latitude=1.0, longitude=2.0), product="\x1b\u202e\x9b")
    lines = "".join(GeoJson([placed]))
    assert not set(lines) & {"\x1b", "\x00", "\u202e", "\x9b"}


def test_geojson_has_a_point_for_each_placed_host() -> None:
    """RFC 7946: a FeatureCollection, longitude before latitude; hosts without coordinates are counted."""
    paris = Place(64496, "Example Net", "FR", "France", city="Paris", latitude=48.86, longitude=2.35)
    document = GeoJson(
        [
            Match("192.0.2.1", 22, "tcp", "open", NOW, NOW, service="ssh", hostnames=("a.example",), place=paris),
            Match("192.0.2.1", 80, "tcp", "open", NOW, NOW + timedelta(hours=1), product="nginx", place=paris),
            Match("192.0.2.2", 22, "tcp", "open", NOW, NOW, place=Place(country="FR")),
            Match("192.0.2.3", 22, "tcp", "open", NOW, NOW),
            Match("192.0.2.4", 22, "tcp", "open", NOW, NOW, place=Place(latitude=0.0, longitude=0.0)),
        ]
    )
    collection = json.loads("".join(document))
    assert (document.placed, document.unplaced) == (2, 2)
    assert collection["type"] == "FeatureCollection"
    first, last = collection["features"]
    assert first["geometry"] == {"type": "Point", "coordinates": [2.35, 48.86]}
    assert first["properties"]["last_seen"] == "2026-03-01T13:00:00Z"
    assert [p["port"] for p in first["properties"]["ports"]] == [22, 80]
    assert first["properties"]["city"] == "Paris"
    assert last["geometry"]["coordinates"] == [0.0, 0.0]
    assert json.loads("".join(GeoJson([])))["features"] == []
