"""`masscan`: the command line that is built, and real runs in a network of the test's own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from spectra.collect.netset import NetSet
from spectra.collect.scanners.base import NotInstalled, Progress
from spectra.collect.scanners.masscan import MasscanScanner, arguments
from spectra.collect.scanners.nexthop import NextHop
from spectra.collect.scanners.nmap import raw_sockets
from spectra.collect.scope import OutOfScope, Scope
from spectra.errors import BadRequest
from tests.collect.scanners.conftest import ignore, permit, request
from tests.collect.scanners.ground import (
    NETWORK,
    NOBODY,
    PORTS,
    SECOND,
    TARGET,
    TARGET6,
    Ground,
    ground,
    open_ports,
    read,
)

needs_masscan = pytest.mark.skipif(
    shutil.which("masscan") is None or not raw_sockets(), reason="masscan is not installed, or raw sockets are shut"
)


@pytest.fixture(scope="module")
def wire() -> Generator[Ground]:
    """A network with a target."""
    with ground() as made:
        yield made


def test_the_command_line_holds_no_word_of_the_user() -> None:
    """Ports, rate and next hop; the targets stand in a private file."""
    hop = NextHop(NetSet(), "eth0", "10.0.0.5", "02:00:00:00:00:01")
    options = arguments(request("22,8000-8100,U:53", "10.0.0.1", rate=250), hop)
    said = dict(zip(options[::2], options[1::2], strict=True))
    assert said["-p"] == "22,8000-8100,U:53"
    assert said["--rate"] == "250"
    assert (said["-e"], said["--adapter-ip"], said["--router-mac-ipv4"]) == ("eth0", "10.0.0.5", "02-00-00-00-00-01")
    assert (said["-iL"], said["-oD"]) == ("targets.txt", "out.json")
    six = arguments(request("22", "2001:db8::1"), hop._replace(source=""))
    assert "--router-mac-ipv6" in six
    assert "--adapter-ip" not in six


def test_the_law_comes_first() -> None:
    """Out of scope: masscan is not even looked for."""
    with pytest.raises(OutOfScope):
        asyncio.run(MasscanScanner().scan(request("22", scope=Scope()), ignore))


def test_absence_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without masscan on the PATH it is unavailable and a scan says how to install it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not MasscanScanner().available()
    with pytest.raises(NotInstalled, match="apt install masscan"):
        asyncio.run(MasscanScanner().scan(request("22"), ignore))


@needs_masscan
def test_loopback_is_refused() -> None:
    """No frame is sent to loopback: saying so beats finding nothing there."""
    with pytest.raises(BadRequest, match="no frame is sent"):
        asyncio.run(MasscanScanner().scan(request("22", "127.0.0.1"), ignore))


@needs_masscan
def test_a_real_run_finds_what_listens(wire: Ground) -> None:
    """Both addresses of a neighbour, each port once, as the gate reads it; who is not there is told."""
    heard: list[Progress] = []
    asked = request(f"1-100,{PORTS[1]}", TARGET, SECOND, NOBODY, scope=permit(NETWORK), rate=2000)
    raw = wire.inside(MasscanScanner().scan(asked, heard.append))
    name, hosts = read(raw)
    assert name == "masscan-json"
    assert {ip: open_ports(host) for ip, host in hosts.items()} == {TARGET: set(PORTS), SECOND: set(PORTS)}
    assert (raw.tool, raw.scan_type, raw.stopped) == ("masscan", "tcp-syn", False)
    assert raw.notes == (f"not scanned, no frame reaches them on the link: {NOBODY}",)
    assert raw.tool_version
    assert heard
    assert all(0 <= one.fraction <= 1 for one in heard)


@needs_masscan
def test_a_real_run_over_ipv6(wire: Ground) -> None:
    """The next hop's address is found among IPv6 neighbours, too."""
    asked = request(f"{PORTS[0]},{PORTS[1]},9", TARGET6, scope=permit("fd00:250::/64"), rate=500)
    _, hosts = read(wire.inside(MasscanScanner().scan(asked, ignore)))
    assert {ip: open_ports(host) for ip, host in hosts.items()} == {TARGET6: set(PORTS)}


@needs_masscan
def test_a_run_that_takes_too_long_keeps_what_it_found(wire: Ground) -> None:
    """At the deadline masscan is asked to end, and what it knew until then is the result."""
    asked = request("1-65535", TARGET, scope=permit(NETWORK), rate=10)
    raw = wire.inside(MasscanScanner().scan(replace(asked, deadline_s=1.0), ignore))
    assert raw.stopped
    assert raw.notes == ("stopped after 1 s",)
