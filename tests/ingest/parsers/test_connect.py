"""The built-in scanner's lines."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from spectra.model.observation import (
    Banner,
    EndpointSeen,
    Hostname,
    HostSeen,
    Problem,
    ScanFacts,
    Service,
    Silent,
    Swept,
)
from tests.ingest.parsers.reading import lines, of, read

HEADER = {
    "tool": "spectra-connect",
    "version": "0.1.0",
    "started": "2024-01-01T00:00:00Z",
    "ports": {"tcp": [[1, 1024], [8080, 8080]]},
    "targets": ["127.0.0.1/32"],
}
LAST = {"finished": "2024-01-01T00:01:00Z", "hosts": 1, "stopped": False}
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def test_a_whole_scan(der: bytes) -> None:
    """Header, ports swept, a host, a silent address, the end: in the order of the lines."""
    service = {"name": "ssh", "product": "OpenSSH", "version": "9.2p1", "extra": "x", "cpe": ["cpe:/a:openbsd:openssh"]}
    ports = [
        {"port": 22, "protocol": "tcp", "state": "open", "service": service, "banner": "SSH-2.0", "title": ""},
        {"port": 443, "state": "open", "service": None, "tls": {"certificate": base64.b64encode(der).decode()}},
        {"port": 444, "state": "closed", "service": None, "banner": None, "tls": None},
    ]
    host = {
        "ip": "127.0.0.1",
        "time": "2024-01-01T12:00:00Z",
        "hostnames": [{"name": "localhost", "kind": "user"}],
        "rest": "closed",
        "ports": ports,
    }
    silent = {"ip": "127.0.0.2", "time": "2024-01-01T12:00:00Z", "silent": True}
    facts, swept, seen, quiet, end = read(lines(HEADER, host, silent, LAST))
    start = datetime(2024, 1, 1, tzinfo=UTC)
    assert facts == ScanFacts("spectra-connect", "0.1.0", "127.0.0.1/32", start)
    assert swept == Swept("tcp", ((1, 1024), (8080, 8080)))
    assert isinstance(seen, HostSeen)
    ssh, https, closed = seen.endpoints
    assert (seen.ip, seen.seen_at, seen.rest) == ("127.0.0.1", NOON, "closed")
    assert seen.hostnames == (Hostname("localhost", "user"),)
    assert ssh == EndpointSeen(
        22,
        "tcp",
        "open",
        Service("ssh", "OpenSSH", "9.2p1", "x", cpe=("cpe:/a:openbsd:openssh",)),
        Banner("SSH-2.0"),
    )
    assert https.service == Service(tunnel="tls")
    assert https.certificate
    assert https.certificate.subject_cn == "example.org"
    assert closed == EndpointSeen(444, "tcp", "closed")
    assert quiet == Silent("127.0.0.2", NOON)
    assert end == ScanFacts(finished=datetime(2024, 1, 1, 0, 1, tzinfo=UTC))


def test_a_service_behind_tls_keeps_its_name() -> None:
    """Name and tunnel together."""
    port = {"port": 443, "service": {"name": "http"}, "tls": {"certificate": None}}
    (host,) = of(HostSeen, read(lines(HEADER, {"ip": "127.0.0.1", "ports": [port]})))
    assert host.endpoints[0].service == Service("http", tunnel="tls")


def test_a_scan_that_was_stopped_keeps_its_hosts() -> None:
    """Without the last line, and with a line cut off."""
    records = read(lines(HEADER, {"ip": "127.0.0.1", "ports": []}) + b'{"ip": "127.0.0.2", "po')
    assert [host.ip for host in of(HostSeen, records)] == ["127.0.0.1"]
    assert [problem.line for problem in of(Problem, records)] == [3]


def test_bad_lines_are_named() -> None:
    """Line and field of each."""
    records = read(
        lines(
            HEADER | {"ports": {"tcp": [[5, 1], [0, 99999]]}},
            {"ip": "nowhere"},
            {"ip": "127.0.0.1", "ports": [{"port": 70000}, {"port": 1}]},
            {"ip": "127.0.0.1", "ports": [{"port": 1, "state": "ajar"}]},
        )
    )
    problems = [(p.line, p.field) for p in of(Problem, records)]
    assert problems[:2] == [(2, "ip"), (3, "ports.port")]
    assert problems[2][0] == 4
    assert problems[2][1].startswith("ports")
    assert not of(Swept, records)
    assert [len(host.endpoints) for host in of(HostSeen, records)] == [1]
