"""BBOT's events."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from spectra.model.observation import (
    Banner,
    EndpointSeen,
    Evidence,
    Hostname,
    HostSeen,
    NameSeen,
    Problem,
    ScanFacts,
    Service,
)
from tests.ingest.parsers.reading import endpoint, host, lines, of, read, unpacked


def event(kind: str, data: object = None, **fields: object) -> dict[str, object]:
    """An event as 2.x writes it."""
    own = {"data_json": data} if isinstance(data, dict) else {"data": data}
    return {"type": kind, "id": f"{kind}:1", "scan": "SCAN:1", "module": "x", "timestamp": 1700000000.5} | own | fields


def test_a_real_scan(shared_data: Path) -> None:
    """All 1,171 events, against a naive reading of the addresses, names and ports in them."""
    (path,) = (shared_data / "scans" / "bbot").iterdir()
    data = unpacked(path.read_bytes())
    events = [json.loads(line) for line in data.splitlines() if line.strip()]
    kinds = Counter(one["type"] for one in events)
    assert (len(events), kinds["OPEN_TCP_PORT"], kinds["DNS_NAME"], kinds["URL"]) == (1171, 523, 263, 194)
    told = [one for one in events if one["type"] in ("OPEN_TCP_PORT", "URL", "PROTOCOL")]
    expected = {(ip, one["port"]) for one in told for ip in one["resolved_hosts"] if ip.replace(".", "").isdigit()}
    records = read(data)
    hosts = of(HostSeen, records)
    found = {(h.ip, e.port) for h in hosts for e in h.endpoints if ":" not in h.ip}
    assert not of(Problem, records)
    assert expected <= found
    assert len(found - expected) <= 1  # the port of the finding
    unresolved = {one["host"] for one in events if one["type"] == "DNS_NAME_UNRESOLVED"}
    assert unresolved <= {name.name for name in of(NameSeen, records)}
    protocols = [e for h in hosts for e in h.endpoints if e.banner]
    assert any(e.service and e.service.name == "smtp" and "ESMTP" in (e.banner or Banner()).text for e in protocols)
    findings = [item for h in hosts for e in h.endpoints for item in e.evidence if item.kind == "bbot:FINDING"]
    assert {item.severity for item in findings} == {"low"}
    assert of(ScanFacts, records)[-1].arguments == "evilcorp.com"


def test_a_name_that_resolves_is_hosts() -> None:
    """Each address gets the name and the port; names among the resolved hosts (CNAME) are no address."""
    resolved = ["192.0.2.1", "2001:DB8::1", "cdn.example."]
    name = event("DNS_NAME", "a.example", host="a.example", resolved_hosts=resolved)
    port = event("OPEN_TCP_PORT", "a.example:8443", host="a.example", port=8443, resolved_hosts=resolved)
    hosts = of(HostSeen, read(lines(name, port)))
    assert [h.ip for h in hosts] == ["192.0.2.1", "2001:db8::1"]
    assert all(h.hostnames == (Hostname("a.example", "dns"),) for h in hosts)
    assert all(h.endpoints == (EndpointSeen(8443, "tcp", "open"),) for h in hosts)
    assert hosts[0].seen_at.timestamp() == 1700000000.5


def test_a_name_that_does_not_resolve_is_a_name() -> None:
    """With what was found about it."""
    finding = event("FINDING", {"host": "b.example", "description": "takeover", "severity": "HIGH"}, host="b.example")
    (name,) = of(NameSeen, read(lines(event("DNS_NAME", "b.example"), finding)))
    assert name.evidence == (Evidence("bbot:FINDING", "takeover", "takeover", "high"),)


def test_version_1_tells_the_place_in_the_data() -> None:
    """1.x has no host and port fields: they are in `data`, a text or an object; the first may be pretty-printed."""
    scan = event("SCAN", "x") | {"data": {"name": "x", "started_at": "2024-01-01T00:00:00", "target": 5}}
    port = event("OPEN_TCP_PORT", "[2001:db8::1]:8080")
    finding = event("VULNERABILITY") | {"data": {"host": "2001:db8::1", "url": "http://[2001:db8::1]:8080/x"}}
    text = json.dumps(scan, indent=2).encode() + b"\n\n" + lines(port) + b"\n" + lines(finding)
    (seen,) = host(text).endpoints
    assert (seen.port, [item.kind for item in seen.evidence]) == (8080, ["bbot:VULNERABILITY"])
    facts = of(ScanFacts, read(text))
    assert facts[1].started
    assert facts[1].started.year == 2024


def test_services() -> None:
    """PROTOCOL, URL, HTTP_RESPONSE and TECHNOLOGY of one endpoint complete each other."""
    place = {"host": "192.0.2.1", "port": 443}
    response = {"url": "https://192.0.2.1/", "webserver": "nginx/1.2", "title": "Home", "raw_header": "HTTP/1.1 200 OK"}
    found = endpoint(
        lines(
            event("PROTOCOL", {"protocol": "HTTPS", "banner": "", "port": 443}, **place),
            event("URL", "https://192.0.2.1/", **place),
            event("HTTP_RESPONSE", response, **place),
            event("TECHNOLOGY", {"technology": "cpe:/a:f5:nginx:1.2"}, **place),
            event("TECHNOLOGY", {"technology": "React"}, **place),
        )
    )
    assert found.service == Service("http", "nginx", "1.2", tunnel="tls", cpe=("cpe:/a:f5:nginx:1.2",))
    assert found.banner == Banner("HTTP/1.1 200 OK", "Home")
    assert found.evidence == (
        Evidence("bbot:URL", "", "https://192.0.2.1/"),
        Evidence("bbot:TECHNOLOGY", "React", "React"),
    )


def test_technology_without_a_port_is_of_the_host() -> None:
    """A CPE too; and UDP ports are UDP."""
    found = host(
        lines(
            event("TECHNOLOGY", {"technology": "cpe:/a:x:y"}, host="192.0.2.1"),
            event("OPEN_UDP_PORT", "192.0.2.1:53", host="192.0.2.1", port=53),
        )
    )
    assert found.evidence == (Evidence("bbot:TECHNOLOGY", "cpe:/a:x:y", "cpe:/a:x:y"),)
    assert found.endpoints == (EndpointSeen(53, "udp", "open"),)


def test_other_events_are_ignored_and_placeless_ones_told() -> None:
    """EMAIL_ADDRESS and what is yet to come are no problem; a port without a host is."""
    records = read(
        lines(
            event("EMAIL_ADDRESS", "a@b.example"),
            event("OPEN_TCP_PORT", "???"),
            event("FINDING", {"port": 2**70, "host": "192.0.2.1", "name": 2**70, "url": True}),
        )
    )
    assert [(p.line, p.field) for p in of(Problem, records)] == [(2, "host")]
    assert len(of(HostSeen, records)) == 1


def test_resolved_addresses_are_bounded() -> None:
    """A name with a thousand addresses does not become a thousand hosts."""
    many = [f"10.0.{n >> 8}.{n & 255}" for n in range(1000)]
    assert len(of(HostSeen, read(lines(event("DNS_NAME", "a.example", resolved_hosts=many))))) == 16


def test_a_banner_tells_the_product() -> None:
    """BBOT itself names the protocol alone."""
    place = {"host": "192.0.2.1", "port": 22}
    found = endpoint(lines(event("PROTOCOL", {"protocol": "SSH", "banner": "SSH-2.0-OpenSSH_7.4"}, **place)))
    assert found.service == Service("ssh", "OpenSSH", "7.4", cpe=("cpe:/a:openbsd:openssh:7.4",))
    assert found.banner == Banner("SSH-2.0-OpenSSH_7.4")
