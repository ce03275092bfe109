"""Prefix tables and AS names."""

from __future__ import annotations

import gzip
import ipaddress
import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.enrich.locator import Locator
from spectra.intel.feeds import FeedError, Table, read, routes
from spectra.model.facts import NOWHERE, Place
from tests.intel.feeds.samples import ROUTES, place


class Prefixes:
    """The plainest longest prefix: each is kept as it is written, and an address asks for all that hold it."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._asns = {text: int(asn) for text, asn in (line.split("\t") for line in lines)}  # a later one replaces
        self._lengths = sorted({int(text.partition("/")[2]) for text in self._asns}, reverse=True)

    def find(self, text: str) -> int:
        """The AS number of the longest prefix, 0 where there is none."""
        ip = ipaddress.ip_address(text)
        for length in self._lengths:
            if length <= ip.max_prefixlen:
                asn = self._asns.get(
                    str(ipaddress.ip_network((int(ip).to_bytes(ip.max_prefixlen // 8), length), False))
                )
                if asn is not None:
                    return asn
        return 0


def net(version: int, number: int, length: int) -> str:
    """A network in the middle of the addresses, where nothing stands for anything else."""
    if version == 4:
        return str(ipaddress.IPv4Network((0x0A000000 | number << 8, length), strict=False))
    return str(ipaddress.IPv6Network((0x3FFF << 112 | number << 64, length), strict=False))


ROWS = st.lists(
    st.tuples(st.sampled_from([4, 6]), st.integers(0, 65535), st.integers(8, 32), st.integers(1, 2**32 - 1)),
    min_size=1,
    max_size=40,
)


@given(ROWS)
def test_prefixes_against_the_naive_longest_prefix(rows: list[tuple[int, int, int, int]]) -> None:
    """Any prefixes that nest, repeat and touch, in both families, in any order."""
    lines = [f"{net(version, number, length)}\t{asn}" for version, number, length, asn in rows]
    plain = Prefixes(lines)
    table = routes.prefixes("\n".join(lines).encode())
    probes = [str(ipaddress.ip_network(line.split()[0])[offset]) for line in lines for offset in (0, -1)]
    assert [found.asn for found in Locator([table]).locate(probes)] == [plain.find(ip) for ip in probes]


@pytest.mark.parametrize(
    ("name", "prefixes", "version"),
    [
        ("pyasn__ipasn_20140513.dat.gz", 512_621, "20140513.0600"),
        ("pyasn__ipasn6_20151101.dat.gz", 633_831, "20151101.0600"),
    ],
)
def test_a_real_routing_table(shared_data: Path, tmp_path: Path, name: str, prefixes: int, version: str) -> None:
    """A whole table of RouteViews: ends of a sample of its prefixes, and addresses anywhere, through a saved table."""
    path = shared_data / "asn" / name
    table = read(path)
    assert (table.kind, table.format, table.networks, table.version) == ("asn", "routeviews", prefixes, version)
    assert table.built == datetime.strptime(version, "%Y%m%d.%H%M").replace(tzinfo=UTC)
    table.save(tmp_path / "t")
    locator = Locator([Table.load(tmp_path / "t")])
    lines = [line for line in gzip.decompress(path.read_bytes()).decode().splitlines() if not line.startswith(";")]
    plain = Prefixes(lines)
    rng = random.Random(20140513)
    probes = [str(ipaddress.IPv4Address(rng.getrandbits(32))) for _ in range(2000)]
    for line in rng.sample(lines, 2000):
        prefix = ipaddress.ip_network(line.partition("\t")[0])
        if not str(prefix).startswith(("2002:", "2001::/", "2001:0:")):  # stand for IPv4 addresses
            probes += [str(prefix[0]), str(prefix[-1])]
    assert [found.asn for found in locator.locate(probes)] == [plain.find(ip) for ip in probes]


def test_prefixes_of_an_as_are_where_it_is_found(shared_data: Path) -> None:
    """Both directions agree: the networks of an AS are those whose addresses are located in it."""
    locator = Locator([read(shared_data / "asn" / "pyasn__ipasn6_20151101.dat.gz")])
    nets = [ipaddress.ip_network(text) for text in locator.prefixes(3320)]
    assert len(nets) > 50
    assert {n.version for n in nets} == {4, 6}
    ends = [str(n[i]) for n in nets for i in (0, -1)]
    assert {found.asn for found in locator.locate(ends)} == {3320}
    outside = [str(n.network_address - 1) for n in nets]
    inside = {ip for ip in outside if any(ipaddress.ip_address(ip) in n for n in nets)}
    assert {ip for ip, found in zip(outside, locator.locate(outside), strict=True) if found.asn == 3320} == inside
    assert locator.prefixes(4_294_967_295) == []


def test_several_origins() -> None:
    """A prefix with several origins is the first's, however they are written."""
    table = routes.prefixes(ROUTES.encode())
    asns = [place(table, ip).asn for ip in ("192.0.2.1", "192.0.2.200", "198.51.100.1", "2001:db8::1", "10.0.0.1")]
    assert asns == [64500, 64501, 64503, 64505, 0]
    assert (table.version, table.networks) == ("20140513.0600", 4)


def test_a_head_without_a_date() -> None:
    """Comments may say nothing, or nonsense, of when the dump was made."""
    assert routes.prefixes(b"192.0.2.0/24 64500\r\n").built is None
    assert routes.prefixes(b"; rib.20149913.0600\n192.0.2.0/24\t64500\n").built is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("192.0.2.0/24\t64500\n192.0.2.0/24\tAS64500\n", 2),
        ("; x\n\n192.0.2.0/24\t4294967296\n", 3),
        ("192.0.2.0/24\t64500\n192.0.2.0/24\t\n", 2),
        ("192.0.2.0/24\t64500\n192.0.2.0/24", 2),
        ("192.0.2.0/24\t64500\nrubbish\t1", 2),
        ("192.0.2.0/24\t64500\n192.0.2.1/24\t1", 2),
        ("192.0.2.0/24\t64500\n\x00\x00\x00", 2),
    ],
)
def test_the_line_that_is_wrong_is_named(text: str, line: int) -> None:
    """A table that was cut, or is not one, says where."""
    with pytest.raises(FeedError) as caught:
        routes.prefixes(text.encode())
    assert caught.value.line == line
    assert str(caught.value).startswith(f"line {line}: ")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("GOOGLE - Google Inc., US", "Google Inc."),
        ("FITL-IE Fort Technologies, GB", "Fort Technologies"),
        ("LVLT-1 - Level 3 Communications, Inc., US", "Level 3 Communications, Inc."),
        ("BSKYB-BROADBAND-AS, GB", "BSKYB-BROADBAND-AS"),
        ("  ", ""),
        ("AS-X \x07Evil\nName, FR", "Evil Name"),
    ],
)
def test_names_without_handle_and_country(text: str, name: str) -> None:
    """What stands behind the handle is the name; a handle alone is better than nothing."""
    assert routes.organisation(text) == name


def test_names_of_numbers(shared_data: Path) -> None:
    """Every number of the real list has its name, and no other number has one."""
    path = shared_data / "asn" / "pyasn__asnames.json.gz"
    given: dict[str, str] = json.loads(gzip.decompress(path.read_bytes()))
    table = read(path)
    assert (table.kind, table.networks) == ("as-names", len(given))
    rng = random.Random(1)
    for asn in [*rng.sample(sorted(given), 300), "1", "4294967295"]:
        lines = routes.prefixes(f"192.0.2.0/24\t{asn}".encode())
        org = Locator([lines, table]).locate(["192.0.2.1"])[0].org
        assert org == (routes.organisation(given[asn]) if asn in given else ""), asn


@pytest.mark.parametrize("key", ["AS1", "-1", "4294967296", "１"])
def test_a_key_that_is_no_number_is_named(key: str) -> None:
    """The first of them, as a field."""
    with pytest.raises(FeedError) as caught:
        routes.names(json.dumps({"64500": "A, US", key: "B"}).encode())
    assert caught.value.field == key


def test_the_ends_of_the_numbers() -> None:
    """The last AS number there can be, neighbours, and names that are empty."""
    names = routes.names(b'{"4294967295": "LAST, US", "1": "A x", "2": "A x", "3": ""}')
    rows = b"192.0.2.0/32\t4294967295\n192.0.2.1/32\t1\n192.0.2.2/32\t2\n192.0.2.3/32\t3\n"
    found = Locator([routes.prefixes(rows), names]).locate([f"192.0.2.{n}" for n in range(5)])
    assert [p.org for p in found] == ["LAST", "x", "x", "", ""]
    assert found[4] == NOWHERE
    assert found[3] == Place(asn=3)
