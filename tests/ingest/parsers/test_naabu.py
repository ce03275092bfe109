"""naabu's JSON lines."""

from __future__ import annotations

from pathlib import Path

from spectra.model.observation import EndpointSeen, Hostname, HostSeen, Problem, ScanFacts, Service
from tests.ingest.parsers.reading import DEFAULT_TIME, endpoint, host, lines, of, read


def test_a_real_file(shared_data: Path) -> None:
    """Eight lines about four ports of one host are one host with four ports, seen when its last line was written."""
    (path,) = (shared_data / "scans" / "naabu").iterdir()
    found = host(path.read_bytes())
    assert (found.ip, [seen.port for seen in found.endpoints]) == ("172.29.0.3", [3000, 8443, 80, 8080])
    assert found.seen_at.second == 7


def test_forms_of_a_port() -> None:
    """A number, a text, and the objects of older versions; no time is the submission's."""
    found = host(
        lines(
            {"host": "Example.org", "ip": "192.0.2.1", "port": 80},
            {"ip": "192.0.2.1", "port": {"Port": 443, "Protocol": 0, "TLS": True}},
            {"ip": "192.0.2.1", "port": {"port": 53, "protocol": "UDP"}},
            {"host": "192.0.2.1", "port": "22"},
        )
    )
    assert found == HostSeen(
        "192.0.2.1",
        DEFAULT_TIME,
        (
            EndpointSeen(80, "tcp", "open"),
            EndpointSeen(443, "tcp", "open", Service(tunnel="tls")),
            EndpointSeen(53, "udp", "open"),
            EndpointSeen(22, "tcp", "open"),
        ),
        (Hostname("example.org", "user"),),
    )


def test_service_detection() -> None:
    """What newer versions tell of the service."""
    line = {"ip": "2001:DB8::1", "port": 22, "protocol": "tcp", "tls": False, "timestamp": "2024-01-01T00:00:00Z"}
    service = {"name": "ssh", "product": "OpenSSH", "version": "9", "cpes": ["cpe:/a:openbsd:openssh:9"]}
    assert endpoint(lines(line | service)).service == Service("ssh", "OpenSSH", "9", cpe=("cpe:/a:openbsd:openssh:9",))


def test_bad_lines_are_named() -> None:
    """Each problem has its line and field, and the good line between them is kept."""
    records = read(
        lines(
            {"ip": "192.0.2.1", "port": 80},
            {"ip": "nowhere", "port": 80},
            {"ip": "192.0.2.1", "port": 70000},
            {"ip": "192.0.2.1", "port": 80, "protocol": "icmp"},
            {"ip": 5, "port": 80},
        )
        + b'{"ip": "192.0.2.1",\n'
    )
    assert [(p.line, p.field) for p in of(Problem, records)] == [
        (2, "ip"),
        (3, "port"),
        (4, "protocol"),
        (5, "ip"),
        (6, ""),
    ]
    assert len(of(HostSeen, records)) == 1
    assert records[0] == ScanFacts(tool="naabu")
