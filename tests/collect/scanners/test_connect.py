"""`connect`: whole runs of the built-in scanner over loopback."""

from __future__ import annotations

import asyncio
import resource
import socket
from datetime import UTC, datetime, timedelta

import pytest

from spectra.collect.consent import Consent
from spectra.collect.scanners import connect_output, sweep
from spectra.collect.scanners.base import Progress
from spectra.collect.scanners.connect import ConnectScanner, socket_limit
from spectra.collect.scope import OutOfScope, Scope
from spectra.errors import BadRequest
from tests.collect.scanners.conftest import (
    LOOPBACK,
    free_port,
    greets,
    hosts,
    lines,
    ports_of,
    request,
    scan,
    scan_apart,
    serve,
)

SSH = greets(b"SSH-2.0-OpenSSH_9.2p1\r\n")


def has_ipv6() -> bool:
    """Whether ::1 can be listened on here."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_the_output_is_a_header_a_line_per_host_and_an_end() -> None:
    """The documented format: ranges of ports, networks, RFC 3339 times, counts, and `rest` closed on loopback."""

    async def main() -> None:
        async with serve(SSH) as port:
            closed = free_port()
            raw = await scan(f"{port},{closed}", names={"127.0.0.1": ("localhost",)})
        first, host, last = lines(raw)
        assert (first["tool"], first["version"]) == ("spectra-connect", raw.tool_version)
        assert sorted(port for low, top in first["ports"]["tcp"] for port in range(low, top + 1)) == sorted(
            (port, closed)
        )
        assert first["targets"] == ["127.0.0.1/32"]
        assert host["hostnames"] == [{"name": "localhost", "kind": "user"}]
        assert (host["ip"], host["rest"], [p["port"] for p in host["ports"]]) == ("127.0.0.1", "closed", [port])
        assert (last["hosts"], last["stopped"]) == (1, False)
        for text in (first["started"], host["time"], last["finished"]):
            assert text.endswith("Z")
            assert raw.started <= datetime.fromisoformat(text) <= raw.finished
        assert (raw.tool, raw.scan_type, raw.stopped, raw.notes) == ("spectra-connect", "tcp-connect", False, ())

    asyncio.run(main())


def test_a_host_with_nothing_open_has_answered() -> None:
    """All ports refused: the host is there, `rest` closed; all ports open: nothing is left, `rest` null."""

    async def main() -> None:
        raw = await scan(str(free_port()))
        assert hosts(raw)["127.0.0.1"]["ports"] == []
        assert hosts(raw)["127.0.0.1"]["rest"] == "closed"
        async with serve(SSH) as port:
            assert hosts(await scan(str(port)))["127.0.0.1"]["rest"] is None

    asyncio.run(main())


def test_many_hosts_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address of a network gets its line, whatever the block size, and progress ends at the whole."""
    seen: list[Progress] = []
    monkeypatch.setattr(sweep, "BLOCK", 7)

    async def main() -> None:
        async with serve(SSH, host="0.0.0.0") as port:
            asked = request(f"{port},{free_port()}", "127.1.0.0/27")
            raw = await ConnectScanner(quiet_s=0.3).scan(asked, seen.append)
        assert len(hosts(raw)) == 32
        assert all([p["port"] for p in host["ports"]] == [port] for host in hosts(raw).values())
        assert seen[-1] == Progress(1.0, 32)

    asyncio.run(main())


@pytest.mark.skipif(not has_ipv6(), reason="::1 cannot be listened on here")
def test_ipv6_is_scanned_like_ipv4() -> None:
    """::1 and 127.0.0.1 in one run."""

    async def main() -> None:
        async with serve(SSH, host="::1") as port:
            raw = await scan(str(port), "::1", "127.0.0.1")
        assert [p["port"] for p in hosts(raw)["::1"]["ports"]] == [port]
        assert hosts(raw)["127.0.0.1"]["ports"] == []

    asyncio.run(main())


def test_cancelling_keeps_what_was_found() -> None:
    """A cancelled scan returns: the host with an open port is there, what was not asked is unknown."""

    async def main() -> None:
        found = asyncio.Event()
        async with serve(SSH, host="0.0.0.0") as port:
            asked = request(f"{port},{free_port()}", "127.1.0.0/16", rate=200)

            def watch(progress: Progress) -> None:
                if progress.found:
                    found.set()

            task = asyncio.ensure_future(ConnectScanner(quiet_s=0.1).scan(asked, watch))
            async with asyncio.timeout(60):
                await found.wait()
            task.cancel()
            raw = await task
        assert raw.stopped
        assert raw.notes == ("stopped on request",)
        assert lines(raw)[-1]["stopped"] is True
        found_open = [host for host in hosts(raw).values() if host["ports"]]
        assert found_open
        assert 0 < len(hosts(raw)) < 2**16
        assert {host["rest"] for host in found_open} <= {None, "closed"}

    asyncio.run(main())


def test_a_deadline_ends_the_scan() -> None:
    """Past its time a scan stops and says so."""

    async def main() -> None:
        raw = await scan(str(free_port()), "127.1.0.0/16", rate=1, deadline_s=0.2)
        assert raw.stopped
        assert raw.notes == ("stopped after 0.2 s",)

    asyncio.run(main())


def test_no_packet_leaves_before_the_law_is_asked() -> None:
    """A request out of scope fails, and the service never saw a connection."""
    met: list[object] = []

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(reader)

    async def main() -> None:
        async with serve(count) as port:
            for scope in (Scope(), Scope(allow=LOOPBACK), Scope(allow=LOOPBACK, do_not_scan=["127.0.0.1"])):
                with pytest.raises(OutOfScope):
                    await scan(str(port), scope=scope)

    asyncio.run(main())
    assert met == []


def test_consent_that_runs_out_stops_at_the_next_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts begun after the expiry are not probed, and the output says which."""
    granted = datetime.now(UTC) - timedelta(hours=1)
    consent = Consent(LOOPBACK, "tests", "loopback", granted, granted + timedelta(hours=2))
    monkeypatch.setattr(sweep, "utc_now", lambda: granted + timedelta(hours=3))

    async def main() -> None:
        async with serve(SSH) as port:
            raw = await scan(str(port), scope=Scope(allow=LOOPBACK, consents=[consent]))
        assert hosts(raw) == {}
        assert raw.notes == ("not scanned, the law no longer permits it: 127.0.0.1",)

    asyncio.run(main())


def test_udp_is_left_to_nmap() -> None:
    """UDP ports beside TCP ones are noted as not scanned; alone they are an error that says what to use."""

    async def main() -> None:
        raw = await scan(f"{free_port()},U:53,U:123")
        assert raw.notes == ("2 UDP ports were not scanned: the built-in scanner knows TCP only",)
        with pytest.raises(BadRequest, match="Use nmap"):
            await scan("U:53")

    asyncio.run(main())


def test_the_output_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its bound the output stays whole lines, the scan ends and says why."""
    monkeypatch.setattr(connect_output, "MAX_OUTPUT", 600)

    async def main() -> None:
        raw = await scan(str(free_port()), "127.1.0.0/26", concurrency=2)
        assert raw.stopped
        assert raw.notes == ("stopped: the output is full",)
        assert 0 < len(hosts(raw)) < 64
        assert len(raw.data) < 700

    asyncio.run(main())


def test_few_file_descriptors_slow_the_scan_and_lose_nothing() -> None:
    """With a dozen descriptors for 48 services that keep the line open, EMFILE backs off and every port is found."""

    async def main() -> None:
        async with serve(SSH, host="0.0.0.0") as port:
            raw = await scan_apart(str(port), "127.1.0.0-127.1.0.47", files=12)
        opened = [ip for ip, host in hosts(raw).items() if host["ports"]]
        assert len(opened) == 48
        assert raw.notes == ()

    asyncio.run(main())


def test_sockets_are_bounded_by_the_process_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound leaves some descriptors to others, and an unlimited process is still bounded."""
    for soft, expected in ((1024, 960), (100, 50), (resource.RLIM_INFINITY, 20_000)):
        limits = (soft, soft)
        monkeypatch.setattr(resource, "getrlimit", {resource.RLIMIT_NOFILE: limits}.__getitem__)
        assert socket_limit() == expected


def test_an_answer_nobody_foresaw_does_not_end_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect in reading one service is counted and noted; the port stays open and the others are scanned."""

    async def fail(*_: object) -> None:
        raise KeyError("unforeseen")

    monkeypatch.setattr(sweep, "grab", fail)

    async def main() -> None:
        async with serve(SSH) as port:
            raw = await scan(str(port))
        assert ports_of(raw)[port]["service"] is None
        assert raw.notes == ("1 services gave answers that could not be understood",)

    asyncio.run(main())


def test_the_scanner_is_always_there() -> None:
    """No tool, no privilege: it is available and knows its version."""
    scanner = ConnectScanner()
    assert scanner.available()
    assert scanner.version()
