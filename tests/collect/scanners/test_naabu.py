"""`naabu`: the command line that is built; real runs where naabu is installed; the plumbing with a stand-in."""

from __future__ import annotations

import asyncio
import os
import sys
from ipaddress import ip_address
from pathlib import Path

import msgspec
import pytest

from spectra.collect.scanners.base import NotInstalled, Progress, RawOutput, ScanFailed
from spectra.collect.scanners.naabu import NaabuScanner, arguments, with_names
from spectra.collect.scope import OutOfScope, Scope
from tests.collect.scanners.conftest import greets, ignore, permit, request, serve
from tests.collect.scanners.ground import NETWORK, PORTS, SECOND, TARGET, ground, open_ports, read

OWN = Path(__file__).parents[3] / ".tools" / "go" / "bin"


@pytest.fixture
def naabu(monkeypatch: pytest.MonkeyPatch) -> None:
    """naabu on the PATH, from `scripts/install_go_tools.py` if need be."""
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{OWN}")
    if not NaabuScanner().available():
        pytest.skip("naabu is not installed (with Go and libpcap-dev: python scripts/install_go_tools.py naabu)")


def test_the_command_line_holds_no_word_of_the_user() -> None:
    """Ports and rate are numbers; the targets stand in a private file."""
    options = arguments(request("22,8000-8100,U:53", rate=250), raw=True)
    assert options[options.index("-p") + 1] == "22,8000-8100,u:53"
    assert options[options.index("-rate") + 1] == "250"
    assert options[options.index("-scan-type") + 1] == "s"
    assert options[-2:] == ["-list", "targets.txt"]
    assert {"-json", "-silent"} <= set(options)
    assert "-ip-version" not in options
    other = arguments(request("22", "::1", interface="eth0"), raw=False)
    assert other[other.index("-ip-version") + 1] == "4,6"
    assert other[other.index("-interface") + 1] == "eth0"
    assert other[other.index("-scan-type") + 1] == "c"


def test_names_stand_where_naabu_writes_them() -> None:
    """Each name of an address is a line with it as `host`; other lines and broken ones stay as they are."""
    data = b'{"ip":"10.0.0.1","port":80}\n{"ip":"10.0.0.2","port":80}\nnot json\n{"port":1}\n'
    lines = with_names(data, {ip_address("10.0.0.1"): ("a.example", "b.example")}).splitlines()
    assert [msgspec.json.decode(line) for line in lines[:2]] == [
        {"ip": "10.0.0.1", "port": 80, "host": "a.example"},
        {"ip": "10.0.0.1", "port": 80, "host": "b.example"},
    ]
    assert lines[2:] == data.splitlines()[1:]
    assert with_names(data, {}) is data


def test_absence_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without naabu on the PATH it is unavailable and a scan says how to install it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not NaabuScanner().available()
    with pytest.raises(NotInstalled, match="go install"):
        asyncio.run(NaabuScanner().scan(request("22"), ignore))


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A program called naabu that is first on the PATH: it proves our side of the plumbing, not naabu's."""
    program = folder / "naabu"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "if '-version' in sys.argv:\n    sys.stderr.write('[INF] Current Version: 2.3.4\\n')\n    sys.exit()\n" + body
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_targets_come_from_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool reads addresses from a 0600 file, and its lines come back with the typed name and progress."""
    body = (
        "mode = oct(os.stat('targets.txt').st_mode & 0o777)\n"
        "for line in open('targets.txt'):\n    print(json.dumps({'ip': line.strip(), 'port': 80, 'mode': mode}))\n"
    )
    stand_in(tmp_path, monkeypatch, body)
    seen: list[Progress] = []
    asked = request("80", "127.0.0.1", "127.0.0.8/31", names={"127.0.0.1": ("a.example",)})
    raw = asyncio.run(NaabuScanner().scan(asked, seen.append))
    found = [msgspec.json.decode(line) for line in raw.data.splitlines()]
    assert found[0] == {"ip": "127.0.0.1", "port": 80, "mode": "0o600", "host": "a.example"}
    assert found[1]["ip"] == "127.0.0.8/31"
    assert (raw.tool, raw.tool_version, raw.stopped) == ("naabu", "2.3.4", False)
    assert seen[-1].found == 2


def test_failure_and_flood_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad end carries the tool's words; output beyond the bound stops it, with a note."""
    stand_in(tmp_path, monkeypatch, "sys.stderr.write('no such interface'); sys.exit(1)\n")
    with pytest.raises(ScanFailed, match="no such interface"):
        asyncio.run(NaabuScanner().scan(request("80"), ignore))
    stand_in(tmp_path, monkeypatch, "while True: print('{}')\n")
    monkeypatch.setattr("spectra.collect.scanners.naabu.MAX_OUTPUT", 10_000)
    raw = asyncio.run(NaabuScanner().scan(request("80"), ignore))
    assert raw.stopped
    assert raw.notes == ("stopped: the output is full",)
    assert len(raw.data) <= 10_000


def test_the_law_comes_first() -> None:
    """Out of scope: naabu is not even looked for."""
    with pytest.raises(OutOfScope):
        asyncio.run(NaabuScanner().scan(request("22", scope=Scope()), ignore))


@pytest.mark.usefixtures("naabu")
def test_a_real_run_finds_what_listens() -> None:
    """An open port of loopback in naabu's own JSON, as the gate reads it."""

    async def main() -> tuple[int, RawOutput]:
        async with serve(greets(b"hello\r\n")) as port:
            return port, await NaabuScanner().scan(request(f"{port},9", names={"127.0.0.1": ("a.example",)}), ignore)

    port, raw = asyncio.run(main())
    name, hosts = read(raw)
    assert name == "naabu-jsonl"
    assert open_ports(hosts["127.0.0.1"]) == {port}
    assert [one.name for one in hosts["127.0.0.1"].hostnames] == ["a.example"]
    assert raw.tool_version


@pytest.mark.usefixtures("naabu")
def test_a_real_run_across_a_wire() -> None:
    """Raw packets out of the interface it is told, to both addresses of a neighbour.

    On a machine as busy as one that runs tests, naabu misses an answer now and then: three runs have to find all.
    """
    found: dict[str, set[int]] = {}
    every = {TARGET: set(PORTS), SECOND: set(PORTS)}
    asked = request(f"1-100,{PORTS[1]}", TARGET, SECOND, scope=permit(NETWORK), rate=500, interface="bridge")
    with ground() as wire:
        for _ in range(3):
            raw = wire.inside(NaabuScanner().scan(asked, ignore))
            assert raw.scan_type == "tcp-syn"
            for ip, host in read(raw)[1].items():
                found[ip] = found.get(ip, set()) | open_ports(host)
            if found == every:
                break
    assert found == every
