"""Lines about a host say what is known, by public words and private values."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from spectra.ai.retrieval.hostlines import of_host, of_match, of_neighbours
from spectra.model.ai import Kind, Label
from spectra.model.facts import Place
from spectra.model.observation import Certificate, Service
from spectra.model.records import EndpointRecord, HostnameRecord, HostRecord, Match
from spectra.store.neighbours import Neighbour
from tests.store.scribe import T0

NOW = T0 + timedelta(days=3)


def endpoint(port: int, **fields: object) -> EndpointRecord:
    """An open one."""
    whole = {"state": "open", "since": T0, "confirmed": T0, "port": port, "protocol": "tcp", "first_seen": T0}
    return EndpointRecord(**{**whole, "last_seen": T0, **fields})  # type: ignore[arg-type]


HOST = HostRecord("192.0.2.1", T0, T0, "up", os="Linux 5.4", mac="00:1b:21:aa:bb:cc")


def texts(host: HostRecord) -> list[str]:
    """The words of its lines."""
    return [one.fragment.text for one in of_host(host, (), NOW)]


def test_a_host_in_a_line() -> None:
    """Where it is and what it runs; that it is silent."""
    assert texts(HOST) == [
        "Host 192.0.2.1 is up; first seen 2026-01-01, last seen 2026-01-01; system Linux 5.4; card 00:1b:21:aa:bb:cc;"
        " no open port is known"
    ]
    place = Place(64500, "Corp", "FR", cloud="aws")
    names = (HostnameRecord("a.example", "ptr", T0, T0),)
    more = msgspec.structs.replace(HOST, place=place, hostnames=names, down_since=NOW, status="down")
    line = next(iter(of_host(more, (), NOW)))
    assert "(a.example) has not answered since 2026-01-04" in line.fragment.text
    assert "; country FR; network AS64500 Corp; at a cloud provider" in line.fragment.text
    kinds = {private.kind for private in line.fragment.privates}
    assert kinds == {Kind.ADDRESS, Kind.HOSTNAME, Kind.MAC, Kind.ID}


def test_endpoints_and_what_they_say() -> None:
    """Public words in one line, the machine's own in another; a closed port has none."""
    ssh = endpoint(
        22, service=Service("ssh", "OpenSSH", "9.2p1 Debian 2"), banner="SSH-2.0", stale_at=NOW, sole="mallory"
    )
    odd = endpoint(99, service=Service("billing", "Payroll", "3", tunnel="tls"))
    host = msgspec.structs.replace(HOST, endpoints=(ssh, odd, endpoint(1), endpoint(2, state="closed")))
    lines = {(one.record, one.fragment.label): one.fragment.text for one in of_host(host, (), NOW)}
    told = lines["endpoint:192.0.2.1/tcp/22", Label.CLOUD_DIRECT]
    assert told.startswith("Endpoint 192.0.2.1 22/tcp: ssh, OpenSSH 9.2p1; open since")
    assert told.endswith("last seen 2026-01-01, may have changed; only a contributor who is not trusted says so")
    assert "software OpenSSH 9.2p1 Debian 2; banner SSH-2.0" in lines["endpoint:192.0.2.1/tcp/22", Label.LOCAL_ONLY]
    assert "99/tcp: service, inside TLS;" in lines["endpoint:192.0.2.1/tcp/99", Label.CLOUD_DIRECT]
    assert "1/tcp: open, service unknown" in lines["endpoint:192.0.2.1/tcp/1", Label.CLOUD_DIRECT]
    assert not any(record[-5:] == "tcp/2" for record, _ in lines)


def test_a_certificate_once_with_its_troubles() -> None:
    """Wherever it is served; an expired one, and one that names itself, matters more."""
    good = Certificate(
        "aa" * 32, "a.example", sans=tuple(f"{n}.example" for n in range(9)), not_after=NOW + 90 * (NOW - T0)
    )
    bad = Certificate("bb" * 32, "", "CN=x", "CN=x", not_before=NOW + (NOW - T0), not_after=T0, key="rsa 1024")
    endpoints = (endpoint(443, certificate=good), endpoint(8443, certificate=good), endpoint(993, certificate=bad))
    lines = [
        one
        for one in of_host(msgspec.structs.replace(HOST, endpoints=endpoints), (), NOW)
        if one.record.startswith("certificate:")
    ]
    assert [one.record[-4:] for one in lines] == ["aaaa", "bbbb"]
    assert "Certificate of 192.0.2.1 443/tcp, 8443/tcp: for a.example; names 0.example" in lines[0].fragment.text
    assert " and 3 more; valid until" in lines[0].fragment.text
    assert lines[1].fragment.text.endswith(
        "valid until 2026-01-01; key rsa 1024; expired; valid only from 2026-01-07; names itself as its issuer"
    )
    assert lines[1].score > lines[0].score


def test_neighbours_and_matches() -> None:
    """What is shared, and what a query found."""
    shared = [Neighbour("192.0.2.2", why, "192.0.2.0/24", (22,)) for why in ("certificate", "name", "network")]
    told = [one.fragment.text for one in of_neighbours("192.0.2.1", [*shared, Neighbour("192.0.2.3", "network", "n")])]
    assert told[0] == "Neighbour 192.0.2.2 of 192.0.2.1 has the same certificate; open ports 22"
    assert told[2] == "Neighbour 192.0.2.2 of 192.0.2.1 is in the same network 192.0.2.0/24; open ports 22"
    assert told[3].endswith("no open port is known")
    match = Match("192.0.2.9", 22, "tcp", "open", T0, T0, "ssh", "OpenSSH", "9.2p1", hostnames=("a",), findings=2)
    assert of_match(match, (), 0.0).fragment.text == (
        "Endpoint 192.0.2.9 22/tcp: ssh, OpenSSH 9.2p1; host a; last seen 2026-01-01; 2 weaknesses, the worst not rated"
    )
