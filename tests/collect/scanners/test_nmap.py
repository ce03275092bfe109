"""`nmap`: the command line that is built, and real runs where nmap is installed."""

from __future__ import annotations

import asyncio
import shutil
from ipaddress import ip_address
from pathlib import Path

import pytest
from lxml import etree

from spectra.collect.scanners import nmap
from spectra.collect.scanners.base import NotInstalled, Progress, ScanFailed, ScanRequest
from spectra.collect.scanners.nmap import NmapScanner, arguments, with_names, without_words
from spectra.collect.scope import OutOfScope, Scope
from spectra.errors import BadRequest
from spectra.model.envelope import Privacy
from spectra.model.presets import NmapOptions
from tests.collect.scanners.conftest import answers, free_port, greets, ignore, permit, request, serve
from tests.collect.scanners.ground import NETWORK, PORTS, TARGET, ground, open_ports, read

needs_nmap = pytest.mark.skipif(shutil.which("nmap") is None, reason="nmap is not installed")


def test_the_command_line_holds_no_word_of_the_user() -> None:
    """Ports are numbers, the rate is a number, targets are not there at all: they go to standard input."""
    options = arguments(request("22,8000-8100,U:53", rate=250), raw=True)
    assert options[options.index("-p") + 1] == "T:22,8000-8100,U:53"
    assert options[options.index("--max-rate") + 1] == "250"
    assert options[-4:] == ["-oX", "out.xml", "-iL", "-"]
    assert {"-sS", "-sU", "-sV", "-T4", "-Pn", "-n"} <= set(options)
    assert "127.0.0.1" not in options
    assert "--open" not in options  # closed ports end the life of an endpoint


def test_a_preset_says_what_else_nmap_does() -> None:
    """Timing, versions, systems and scripts; the expression leaves out what would leave the targets, or harm them."""
    wishes = NmapOptions(intensity=2, system=True, scripts=("default", "ssl-cert"), timing=3)
    options = arguments(request("22", nmap=wishes), raw=True)
    assert options[2:7] == ["-T3", "-sV", "--version-intensity", "2", "-O"]
    assert options[options.index("--script") + 1] == "(default or ssl-cert) and not (broadcast or dos or external)"
    assert "-O" not in arguments(request("22", nmap=wishes), raw=False)
    few = arguments(request("22", nmap=NmapOptions(versions=False, intensity=2)), raw=True)
    assert not {"-sV", "--version-intensity", "--script"} & set(few)


@pytest.mark.parametrize("word", ["dos", "not", "all", "../x", "http-title,vuln", "(x", "-oN", ""])
def test_a_script_is_a_name_and_nothing_else(word: str) -> None:
    """Harmful categories, words of expressions, files and options are refused, wherever the request came from."""
    with pytest.raises(BadRequest, match="are not run"):
        arguments(request("22", nmap=NmapOptions(scripts=("ssl-cert", word))), raw=True)


def test_without_raw_sockets_it_connects() -> None:
    """An ordinary user gets -sT, and UDP is an error that says why."""
    options = arguments(request("22"), raw=False)
    assert {"-sT", "--unprivileged"} <= set(options)
    assert "-sS" not in options
    with pytest.raises(BadRequest, match="root"):
        arguments(request("22,U:53"), raw=False)


def test_large_networks_are_searched_for_hosts_first() -> None:
    """Above 1024 addresses nmap looks for hosts before it scans; an IPv6 run says -6; an interface is passed on."""
    wide = request("22", "11.0.0.0/16", scope=permit("11.0.0.0/16"))
    assert "-Pn" not in arguments(wide, raw=True)
    assert "-6" in arguments(request("22", "::1"), raw=True)
    options = arguments(request("22", interface="eth0"), raw=True)
    assert options[options.index("-e") + 1] == "eth0"
    with pytest.raises(BadRequest, match="not both"):
        arguments(request("22", "::1", "127.0.0.1"), raw=True)


def test_meta_only_strips_fingerprints_and_script_output() -> None:
    """No raw words of a service remain, also in a file that was cut off in the middle of them."""
    xml = (
        b'<port><service name="x" product="P" servicefp="SF-Port1:raw"/><script id="a" output="words"/>'
        b'<script id="b" output="words"><elem key="k">words</elem></script></port>'
    )
    assert without_words(xml) == b'<port><service name="x" product="P"/></port>'
    for cut in range(len(xml)):
        assert b"words" not in without_words(xml[:cut])
    assert without_words(b'<port/><script id="c" output="x"><elem>words') == b"<port/>"


def test_names_are_written_where_nmap_writes_them() -> None:
    """The name a user typed stands in the host's `hostnames`, for IPv4 and IPv6, with a MAC between or not."""
    xml = (
        b'<host><address addr="10.0.0.1" addrtype="ipv4"/>\n<address addr="AA:BB:CC:DD:EE:FF" addrtype="mac"/>\n'
        b'<hostnames>\n</hostnames></host><host><address addr="fd00::1" addrtype="ipv6"/>\n'
        b"<hostnames>\n</hostnames></host>"
        b'<host><address addr="10.0.0.2" addrtype="ipv4"/>\n<hostnames>\n</hostnames></host>'
    )
    names = {ip_address("10.0.0.1"): ("a.example", "b.example"), ip_address("fd00::1"): ("c.example",)}
    found = etree.fromstring(b"<r>" + with_names(xml, names) + b"</r>")
    told = [[(n.get("name"), n.get("type")) for n in host.findall("hostnames/hostname")] for host in found]
    assert told == [[("a.example", "user"), ("b.example", "user")], [("c.example", "user")], []]
    assert with_names(xml, {}) is xml


def test_absence_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without nmap on the PATH it is unavailable and a scan says how to install it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not NmapScanner().available()
    with pytest.raises(NotInstalled, match="apt install nmap"):
        asyncio.run(NmapScanner().scan(request("22"), ignore))


def test_the_law_comes_first() -> None:
    """Out of scope: nmap is not even looked for."""
    with pytest.raises(OutOfScope):
        asyncio.run(NmapScanner().scan(request("22", scope=Scope()), ignore))


@needs_nmap
def test_a_real_run_finds_what_listens() -> None:
    """Open and closed ports of loopback with the service's version, the typed name, and progress on the way."""
    seen: list[Progress] = []

    async def main() -> None:
        async with serve(greets(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")) as port:
            closed = free_port()
            asked = request(f"{port},{closed}", names={"127.0.0.1": ("www.example",)}, rate=500)
            raw = await NmapScanner().scan(asked, seen.append)
        root = etree.fromstring(raw.data)
        states = {int(p.get("portid", 0)): p.find("state") for p in root.iter("port")}
        assert {number: state.get("state") for number, state in states.items() if state is not None} == {
            port: "open",
            closed: "closed",
        }
        service = root.find(f".//port[@portid='{port}']/service")
        assert service is not None
        assert (service.get("product"), service.get("version")) == ("OpenSSH", "9.2p1 Debian 2")
        name = root.find(".//hostname")
        assert name is not None
        assert (name.get("name"), name.get("type")) == ("www.example", "user")
        assert (raw.tool, raw.stopped, raw.notes) == ("nmap", False, ())
        assert raw.tool_version == root.get("version")
        assert raw.scan_type.endswith(",service")

    asyncio.run(main())


@needs_nmap
def test_a_real_run_with_meta_only_keeps_no_words() -> None:
    """A service nmap does not know is fingerprinted with its words; they do not leave."""
    odd = answers({}, otherwise=b"VERY-SECRET-WORDS 1\r\n", then_close=True)

    async def main() -> None:
        async with serve(odd) as port:
            few = NmapOptions(intensity=1)  # of some hundred questions only the most frequent
            full, meta = await asyncio.gather(
                NmapScanner().scan(request(str(port), rate=500, nmap=few), ignore),
                NmapScanner().scan(request(str(port), rate=500, nmap=few, privacy=Privacy.META_ONLY), ignore),
            )
        assert b"VERY-SECRET" in full.data
        assert b"VERY-SECRET" not in meta.data
        assert etree.fromstring(meta.data).find(".//port") is not None

    asyncio.run(main())


@needs_nmap
def test_cancelling_a_real_run_keeps_what_it_wrote() -> None:
    """A stopped nmap leaves an unfinished file, which is returned as stopped."""

    async def main() -> None:
        begun = asyncio.Event()
        asked = request(str(free_port()), "127.1.0.0/22", rate=10)
        task = asyncio.ensure_future(NmapScanner().scan(asked, lambda _: begun.set()))
        async with asyncio.timeout(60):
            await begun.wait()
        task.cancel()
        raw = await task
        assert raw.stopped
        assert raw.notes == ("stopped on request",)
        assert raw.data.startswith(b"<?xml")
        assert b"</nmaprun>" not in raw.data

    asyncio.run(main())


@needs_nmap
def test_a_run_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """nmap's own words are in the error."""

    def wrong(request: ScanRequest, *, raw: bool) -> list[str]:
        return ["--no-such-option"]

    monkeypatch.setattr(nmap, "arguments", wrong)
    with pytest.raises(ScanFailed, match="unrecognized option"):
        asyncio.run(NmapScanner().scan(request("22"), ignore))


def test_progress_lines_in_pieces() -> None:
    """Lines are read whole however they arrive: the percentage, the task, and what was discovered."""
    seen: list[Progress] = []
    hearing = nmap._Hearing(seen.append)
    text = b"Discovered open port 80/tcp on 127.0.0.1\nSYN Stealth Scan Timing: About 45.50% done; ETC: 02:33\n"
    for at in range(0, len(text), 7):
        hearing.hear(text[at : at + 7])
    assert seen == [Progress(0.455, 1, "SYN Stealth Scan")]


@needs_nmap
def test_a_real_run_as_a_preset_says_across_a_wire() -> None:
    """Raw packets to a neighbour with versions and a script, as the gate reads them."""
    with ground() as wire:
        wishes = NmapOptions(intensity=5, scripts=("banner", "version"))
        asked = request(f"{PORTS[0]},{PORTS[1]},9", TARGET, scope=permit(NETWORK), nmap=wishes, interface="bridge")
        raw = wire.inside(NmapScanner().scan(asked, ignore))
    name, hosts = read(raw)
    assert name == "nmap-xml"
    assert open_ports(hosts[TARGET]) == set(PORTS)
    first = next(one for one in hosts[TARGET].endpoints if one.port == PORTS[0])
    assert first.service is not None
    assert first.service.product == "vsftpd"
    assert any("ready" in one.data for one in first.evidence)
