"""Search trees of MaxMind-format files, made for the purpose; `maxminddb` reads the same ones."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import maxminddb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.bench.mmdb import database
from spectra.intel.feeds.errors import FeedError
from spectra.intel.feeds.tree import Leaves, Tree, leaves

SIZE = 1 << 20


def walked(data: bytes, bits: int, version: int, nodes: int = 0) -> Leaves:
    """The leaves of a database, whose metadata says how many nodes it has."""
    count = nodes or data.index(bytes(16)) // (bits // 4)
    return leaves(memoryview(data), Tree(count, bits, version), SIZE)


def networks(found: Leaves, version: int) -> dict[str, int]:
    """Network to place in the data."""
    out: dict[str, int] = {}
    for high, low, length, at in zip(*(column.tolist() for column in found), strict=True):
        number = high << 64 | low
        net = (number, length) if version == 6 else (number >> 96, length)
        out[str(ipaddress.IPv6Network(net) if version == 6 else ipaddress.IPv4Network(net))] = at
    return out


NETS = st.lists(
    st.integers(0, 2**20 - 1).map(lambda n: ipaddress.IPv4Network((n << 12, 20))), unique=True, min_size=1, max_size=20
)


@given(NETS, st.sampled_from([24, 28, 32]))
def test_every_network_is_found_once(nets: list[ipaddress.IPv4Network], bits: int) -> None:
    """IPv4 trees of each record size, with the place in the data where each network's record begins."""
    data = database({str(net): {"n": "x" * i} for i, net in enumerate(nets)}, bits=bits, version=4)
    count = _nodes(data)
    found = networks(walked(data, bits, 4, count), 4)
    assert set(found) == {str(net) for net in nets}
    ordered = [found[str(net)] for net in nets]
    assert ordered == sorted(ordered)


def _nodes(data: bytes) -> int:
    import io

    with maxminddb.open_database(io.BytesIO(data), maxminddb.MODE_FD) as reader:  # type: ignore[arg-type]
        return reader.metadata().node_count


@pytest.mark.parametrize("bits", [24, 28, 32])
def test_trees_of_ipv6(bits: int) -> None:
    """IPv4 networks are below `::/96`, whatever the size of the records."""
    data = database({"2001:db8::/32": {}, "192.0.2.0/24": {}, "8000::/1": {}}, bits=bits)
    found = networks(walked(data, bits, 6, _nodes(data)), 6)
    assert set(found) == {"2001:db8::/32", "::c000:200/120", "8000::/1"}


def test_real_trees_are_what_maxminddb_finds(shared_data: Path) -> None:
    """Every network of every test database: the library goes through them one at a time and comes to the same."""
    for path in sorted((shared_data / "geoip" / "maxmind" / "test-data").glob("MaxMind-DB-test-*-2[48].mmdb")):
        if "broken" in path.name:
            continue
        with maxminddb.open_database(path) as reader:
            meta = reader.metadata()
            expected = {str(net) for net, _ in reader}
        data = path.read_bytes()
        tree = Tree(meta.node_count, meta.record_size, meta.ip_version)
        found = networks(leaves(memoryview(data), tree, len(data) - tree.size - 16), meta.ip_version)
        plain = {str(net) for text in found if (net := _plain(ipaddress.ip_network(text)))}
        assert plain == expected, path.name


def _plain(net: ipaddress.IPv4Network | ipaddress.IPv6Network) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if net.version == 6 and int(net.network_address) >> 32 == 0 and net.prefixlen >= 96:
        return ipaddress.IPv4Network((int(net.network_address), net.prefixlen - 96))
    return net


def test_a_loop_is_refused() -> None:
    """A record that leads back up would go on for ever."""
    nodes = [(1, 2), (0, 0), (2, 2)]
    raw = b"".join(left.to_bytes(3) + right.to_bytes(3) for left, right in nodes)
    with pytest.raises(FeedError, match="loop"):
        leaves(memoryview(raw), Tree(3, 24, 4), SIZE)


def test_a_tree_deeper_than_an_address_is_refused() -> None:
    """After the last bit there has to be data, or nothing."""
    raw = b"".join((i + 1).to_bytes(3) + (40).to_bytes(3) for i in range(40))
    with pytest.raises(FeedError, match="deeper"):
        leaves(memoryview(raw), Tree(40, 24, 4), SIZE)


@pytest.mark.parametrize("record", [2, 16, 17 + SIZE])
def test_records_that_lead_nowhere_are_refused(record: int) -> None:
    """Into the separator between tree and data, or behind the data."""
    raw = record.to_bytes(3) + (1).to_bytes(3)
    with pytest.raises(FeedError, match="outside"):
        leaves(memoryview(raw), Tree(1, 24, 4), SIZE)


def test_aliases_of_the_ipv4_part_are_left_out() -> None:
    """2002::/16 leading to where `::/96` is: those addresses are looked up as the IPv4 ones they stand for."""
    data = database({"1.0.0.0/8": {}, "2002::/16": {}}, bits=24)
    count = _nodes(data)
    root = _v4_root(data)
    raw = bytearray(data)
    leaf = (count + 16 + 1).to_bytes(3)  # the second record: each `{}` has one byte
    at = raw.index(leaf)
    assert at < count * 6
    raw[at : at + 3] = root.to_bytes(3)
    assert set(networks(walked(bytes(raw), 24, 6, count), 6)) == {"::100:0/104"}


def _v4_root(data: bytes) -> int:
    node = 0
    for _ in range(96):
        node = int.from_bytes(data[6 * node : 6 * node + 3])
    return node
