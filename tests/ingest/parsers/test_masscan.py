"""masscan's JSON."""

from __future__ import annotations

import base64
from pathlib import Path

from spectra.model.observation import Banner, EndpointSeen, HostSeen, Problem, Service
from tests.ingest.parsers.reading import host, lines, of, read


def test_a_real_file(shared_data: Path) -> None:
    """Separators on lines of their own; four records of one host."""
    (path,) = (shared_data / "scans" / "masscan").iterdir()
    found = host(path.read_bytes())
    assert (found.ip, [seen.port for seen in found.endpoints]) == ("172.29.0.3", [8080, 3000, 8443, 80])
    assert found.seen_at.timestamp() == 1785522037
    assert not of(Problem, read(path.read_bytes()))


def test_a_port_and_its_banners(der: bytes) -> None:
    """As masscan 1.3 writes them: status, banner, certificate, title; a closed port; an answer to ICMP."""

    def record(ip: str, **port: object) -> str:
        import json

        return json.dumps({"ip": ip, "timestamp": "1700000000", "ports": [{"port": 443, "proto": "tcp"} | port]})

    text = ",\n".join(
        [
            record("192.0.2.1", status="open", reason="syn-ack", ttl=64),
            record("192.0.2.1", service={"name": "http", "banner": "HTTP/1.0 200 OK\r\nServer: caf\u00c3\u00a9\u0000"}),
            record("192.0.2.1", service={"name": "X509", "banner": base64.b64encode(der).decode()}),
            record("192.0.2.1", service={"name": "title", "banner": "Home"}),
            record("192.0.2.1", port=25, status="closed"),
            record("192.0.2.2", port=0, proto="icmp", status="open"),
        ]
    )
    first, second = of(HostSeen, read(f"[\n{text}\n]\n"))
    https, smtp = first.endpoints
    assert https.service == Service("http", "café\\x00", tunnel="tls")
    assert https.banner == Banner("HTTP/1.0 200 OK\nServer: café\\x00", "Home")
    assert https.certificate
    assert https.certificate.subject_cn == "example.org"
    assert smtp == EndpointSeen(25, "tcp", "closed")
    assert (second.ip, second.endpoints) == ("192.0.2.2", ())


def test_json_lines() -> None:
    """`-oD`: one object for a status, one for a banner."""
    common = {"ip": "192.0.2.1", "timestamp": "1700000000", "port": 22, "proto": "tcp"}
    found = host(
        lines(
            common | {"rec_type": "status", "data": {"status": "open", "reason": "syn-ack", "ttl": 1}},
            common | {"rec_type": "banner", "data": {"service_name": "ssh", "banner": "SSH-2.0-x"}},
        )
    )
    assert found.endpoints == (EndpointSeen(22, "tcp", "open", Service("ssh"), Banner("SSH-2.0-x")),)


def test_the_last_line_of_old_versions_and_a_trailing_comma() -> None:
    """Neither is JSON, and neither is a problem; a banner that is no UTF-8 stays as it is."""
    port = '{"port": 80, "proto": "tcp", "service": {"name": "http", "banner": "\\u00e9x"}}'
    records = read('[\n{"ip": "192.0.2.1", "ports": [ ' + port + " ] },\n{finished: 1}\n]\n")
    assert len(records) == 2
    assert host('[\n{"ip": "192.0.2.1", "ports": [ ' + port + " ] },\n").endpoints[0].banner == Banner("éx")


def test_bad_records_are_named() -> None:
    """No address, no port number: a problem each."""
    records = read(
        lines(
            {"ip": "x", "ports": []},
            {"ip": "192.0.2.1", "ports": [{"port": 99999, "proto": "tcp"}, {"port": 1, "status": "odd"}]},
            {"ip": "192.0.2.1", "ports": "none"},
        )
    )
    assert [(p.line, p.field) for p in of(Problem, records)] == [(1, "ip"), (2, "port"), (3, "ports")]
    assert not of(HostSeen, records)
