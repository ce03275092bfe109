"""nmap's XML as a whole: real files against a second, naive reading, cut files, and scans written here."""

from __future__ import annotations

import contextlib
import io
import itertools
import shutil
import socket
import subprocess
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from spectra.ingest.parsers import ParseError
from spectra.ingest.parsers.nmap import port_ranges
from spectra.model.observation import HostSeen, Problem, Record, ScanFacts, Silent, Swept
from tests.ingest.parsers.reading import nmap, nmap_host, nmap_port, of, read, unpacked

MALFORMED = "nmap__zenmap__test__nmap-output-error.xml"


def naive(data: bytes) -> Counter[str]:
    """Counts of a document read whole, by paths: the second model."""
    root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    found: Counter[str] = Counter()
    for host in root.iter("host"):
        status = host.find("status")
        found["hosts"] += 1
        found["up" if status is not None and status.get("state") == "up" else "other"] += 1
        found["down"] += status is not None and status.get("state") == "down"
        if assumed(host):
            found["down"] += 1
            continue
        for port in host.iter("port"):
            state, service = port.find("state"), port.find("service")
            if state is None or not (port.get("portid") or "").isdigit():
                continue
            found[state.get("state") or ""] += 1
            if state.get("state") == "open" and service is not None:
                found["version"] += bool(service.get("version"))
                found["cpe"] += service.find("cpe") is not None
    return found


def assumed(host: etree._Element) -> bool:
    """Whether -Pn alone calls this a host: nothing of it answered."""
    states = {s.get("state") for s in host.iter("state")} | {s.get("state") for s in host.iter("extraports")}
    status = host.find("status")
    return status is not None and status.get("reason") == "user-set" and bool(states) and states <= {"filtered"}


def counted(records: list[Record]) -> Counter[str]:
    """The same counts of records."""
    found: Counter[str] = Counter()
    found["down"] = len(of(Silent, records))
    for host in of(HostSeen, records):
        found["seen"] += 1
        for endpoint in host.endpoints:
            found[endpoint.state] += 1
            if endpoint.state == "open" and endpoint.service:
                found["version"] += bool(endpoint.service.version)
                found["cpe"] += bool(endpoint.service.cpe)
    return found


def nmap_files(shared_data: Path) -> list[Path]:
    """The 76 real files."""
    return sorted((shared_data / "scans" / "nmap").iterdir())


def test_real_files_hold_what_a_naive_reading_finds(shared_data: Path) -> None:
    """Every well-formed file of nmap: hosts, silent hosts, ports by state, versions and CPEs, one by one."""
    total: Counter[str] = Counter()
    for path in nmap_files(shared_data):
        if path.name == MALFORMED:
            continue
        expected, found = naive(path.read_bytes()), counted(read(path.read_bytes()))
        total += expected
        if "masscan" in path.name or path.name.startswith("ivre"):
            continue  # grouped: one host for several elements
        assert found["seen"] + found["down"] == expected["hosts"], path.name
        for key in ("down", "open", "closed", "filtered"):
            assert found[key] == expected[key], (path.name, key)
        for key in ("version", "cpe"):  # and what banners tell of services that nmap did not know
            assert found[key] >= expected[key], (path.name, key)
    # The data set's own count, whose one file with a placeholder for a port this reading leaves out.
    assert (total["hosts"], total["up"], total["open"]) == (2369, 181, 877)
    assert (total["version"], total["cpe"]) == (105, 84)


def test_a_host_that_only_pn_assumed_is_silent() -> None:
    """With -Pn nmap calls every address up: one of which nothing answered is silent, one that refused is a host."""
    document = """<nmaprun scanner="nmap"><host><status state="up" reason="user-set"/>
      <address addr="192.0.2.1" addrtype="ipv4"/><ports><extraports state="{}" count="100"/></ports></host></nmaprun>"""
    assert of(Silent, read(document.format("filtered").encode()))
    assert of(HostSeen, read(document.format("closed").encode()))


def test_real_masscan_xml_is_grouped_by_host(shared_data: Path) -> None:
    """As many hosts as addresses, and every open port of theirs once."""
    for path in nmap_files(shared_data):
        if not path.name.startswith("ivre"):
            continue
        root = etree.fromstring(path.read_bytes())
        expected = {
            (host.xpath("string(address/@addr)"), port.get("portid"), port.get("protocol"))
            for host in root.iter("host")
            for port in host.iter("port")
        }
        hosts = of(HostSeen, read(path.read_bytes()))
        assert len({host.ip for host in hosts}) == len(hosts)
        assert {(h.ip, str(e.port), e.protocol) for h in hosts for e in h.endpoints} == expected
        assert sum(e.banner is not None or e.certificate is not None for h in hosts for e in h.endpoints) > 0


def test_a_file_that_is_not_well_formed_keeps_its_host(shared_data: Path) -> None:
    """zenmap's example of a broken file: the control characters in it are dropped and told."""
    records = read((shared_data / "scans" / "nmap" / MALFORMED).read_bytes())
    (host,) = of(HostSeen, records)
    assert len(host.endpoints) == 6
    assert len(of(Problem, records)) == 1


def test_a_week_of_scans(shared_data: Path) -> None:
    """427 scans of one network: all hosts, up and down, open ports, versions."""
    archive = unpacked((shared_data / "scans/nmap_timeseries/phage_2016-04.tar.zst").read_bytes())
    total: Counter[str] = Counter()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is None:
                continue
            records = read(file.read())
            assert not of(Problem, records)
            total += counted(records)
            total["files"] += 1
    assert total["files"] == 427
    assert total["seen"] + total["down"] == 109_312 == 427 * 256
    assert (total["seen"], total["open"], total["version"]) == (22_471, 51_282, 17_927)


@pytest.mark.parametrize(
    "name", ["nmap__ndiff__test-scans__complex.xml", "savon-noir__libnmap__test__files__1_hosts_diff.xml"]
)
def test_a_cut_file_keeps_exactly_the_complete_hosts(shared_data: Path, name: str) -> None:
    """Cut at every byte: the hosts whose end tag is there, word for word, and a problem."""
    data = (shared_data / "scans" / "nmap" / name).read_bytes()
    whole = [r for r in read(data) if isinstance(r, HostSeen | Silent)]
    root = data.index(b">", data.index(b"<nmaprun")) + 1
    for cut in range(root, data.rindex(b"</nmaprun>") + len(b"</nmaprun>")):
        _check_cut(data, cut, whole)
    for cut in range(0, root, 7):
        with contextlib.suppress(ParseError):
            assert not of(HostSeen, read(data[:cut]))


@settings(max_examples=40)
@given(st.data())
def test_larger_files_cut_anywhere(shared_data: Path, data: st.DataObject) -> None:
    """The same for many hosts."""
    text = (shared_data / "scans/nmap/savon-noir__libnmap__test__files__full_sudo6.xml").read_bytes()
    whole = [r for r in read(text) if isinstance(r, HostSeen | Silent)]
    _check_cut(text, data.draw(st.integers(text.index(b"<host"), len(text) - 20)), whole)


def _check_cut(data: bytes, cut: int, whole: list[HostSeen | Silent]) -> None:
    records = read(data[:cut])
    kept = [record for record in records if isinstance(record, HostSeen | Silent)]
    assert kept == whole[: data[:cut].count(b"</host>")]
    assert (cut >= data.rindex(b"</nmaprun>") + 10) or of(Problem, records)


@settings(max_examples=150)
@given(st.data())
def test_mutated_files_raise_only_parse_errors(shared_data: Path, data: st.DataObject) -> None:
    """Bytes of a real file replaced, removed and repeated."""
    path = data.draw(st.sampled_from([path for path in nmap_files(shared_data) if path.stat().st_size < 8000]))
    mutated = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(mutated)))
        length = data.draw(st.integers(0, 20))
        mutated[at : at + length] = data.draw(st.binary(max_size=20) | st.just(bytes(mutated[at : at + 400])))
    with contextlib.suppress(ParseError):
        assert all("\x00" not in str(record) for record in read(bytes(mutated)))


def test_what_the_output_says_of_the_scan() -> None:
    """Tool, version, arguments, start and end; ports swept come before the hosts."""
    scaninfo = '<scaninfo type="syn" protocol="tcp" services="80,1-3,4,x"/><scaninfo protocol="ip" services="1"/>'
    stats = '<runstats><finished time="1700000200"/></runstats>'
    first, swept, host, last = read(nmap(scaninfo, nmap_host(), stats))
    assert isinstance(first, ScanFacts)
    assert (first.tool, first.tool_version, first.arguments) == ("nmap", "7.93", "nmap -sV")
    assert first.started
    assert first.started.timestamp() == 1_700_000_000
    assert swept == Swept("tcp", ((1, 4), (80, 80)))
    assert isinstance(host, HostSeen)
    assert isinstance(last, ScanFacts)
    assert last.finished
    assert last.finished.timestamp() == 1_700_000_200


def test_a_scan_that_failed_says_so() -> None:
    """nmap's error message is a problem of the submission."""
    (problem,) = of(Problem, read(nmap('<runstats><finished errormsg="No route to host"/></runstats>')))
    assert problem.message == "the scanner failed: No route to host"
    assert not of(Problem, read(nmap("<runstats/>")))


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=12))
def test_port_ranges_are_the_set_they_came_from(pairs: list[tuple[int, int]]) -> None:
    """Merged, in order, disjoint, and the same ports as a naive set."""
    ranges = port_ranges(",".join(f"{low}-{high}" for low, high in pairs))
    expected = {port for low, high in pairs for port in range(low, high + 1)}
    assert {port for low, high in ranges for port in range(low, high + 1)} == expected
    assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(ranges))


def test_masscan_elements_of_one_host_become_one() -> None:
    """The port, then its banner, then its certificate; the newest time holds."""
    banner = nmap_host(nmap_port('<service name="http" banner="HTTP/1.0 200"/>'), attributes='endtime="1700000300"')
    title = nmap_host(nmap_port('<service name="title" banner="Home"/>'), attributes='endtime="1700000200"')
    (host,) = of(HostSeen, read(nmap(nmap_host(nmap_port()), banner, title, scanner="masscan")))
    assert host.seen_at.timestamp() == 1_700_000_300
    (endpoint,) = host.endpoints
    assert endpoint.service
    assert endpoint.service.name == "http"
    assert endpoint.banner
    assert (endpoint.banner.text, endpoint.banner.title) == ("HTTP/1.0 200", "Home")


@pytest.mark.engine
@pytest.mark.skipif(shutil.which("nmap") is None, reason="nmap is not installed")
def test_what_the_installed_nmap_writes() -> None:
    """A port of this machine's loopback that is open, and one that is closed."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        opened, closed = server.getsockname()[1], other.getsockname()[1]
        command = ["nmap", "-sT", "-Pn", "-n", "-p", f"{opened},{closed}", "-oX", "-", "127.0.0.1"]
        written = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    records = read(written)
    (host,) = of(HostSeen, records)
    assert host.ip == "127.0.0.1"
    assert {(e.port, e.state) for e in host.endpoints} == {(opened, "open"), (closed, "closed")}
    assert not of(Problem, records)
