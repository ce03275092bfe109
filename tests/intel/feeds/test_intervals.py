"""Flattened intervals against the naive longest prefix."""

from __future__ import annotations

import ipaddress
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.feeds import intervals
from spectra.intel.feeds.addresses import Networks, column, networks
from spectra.intel.feeds.errors import FeedError
from spectra.intel.feeds.intervals import NONE, Axis, axes, empty4, empty6, merged, overlaid, without_lengths

Net = ipaddress.IPv4Network | ipaddress.IPv6Network


def _nets(width: int, base: int) -> st.SearchStrategy[Net]:
    # Few bits vary, so that networks nest, touch and repeat.
    kind = ipaddress.IPv4Network if width == 32 else ipaddress.IPv6Network

    def net(bits: int, length: int) -> Net:
        return kind((base | bits << (width - 6), length), strict=False)

    return st.builds(net, st.integers(0, 63), st.sampled_from([0, 1, 2, 3, 4, 5, 6, 6, 6, width]))


NETS = st.lists(st.one_of(_nets(32, 0), _nets(128, 0), _nets(128, 7)), min_size=0, max_size=25)
PROBES = [str(ipaddress.IPv4Address(n << 26 | low)) for n in range(64) for low in (0, 1, (1 << 26) - 1)] + [
    str(ipaddress.IPv6Address(n << 122 | low)) for n in range(64) for low in (0, 7, (1 << 122) - 1)
]


def nets_of(texts: list[str]) -> Networks:
    """The networks of a column that is all right."""

    def bad(row: int, why: str) -> FeedError:
        raise AssertionError((row, why))

    return networks(texts, bad)


def found(axis4: Axis, axis6: Axis) -> dict[str, int]:
    """What holds at each of `PROBES`."""
    probes = column(PROBES)
    pairs = [*zip(probes.at4, axis4.find(probes.keys4), strict=True)]
    pairs += zip(probes.at6, axis6.find(probes.keys6), strict=True)
    return {PROBES[at]: int(index) for at, index in pairs}


def naive(nets: list[Net], ranks: list[int]) -> dict[str, int]:
    """The row of the highest rank that holds each probe, the last at a tie."""
    held: dict[str, int] = {}
    for text in PROBES:
        ip = ipaddress.ip_address(text)
        rows = [row for row, net in enumerate(nets) if net.version == ip.version and ip in net]
        held[text] = max(rows, key=lambda row: (ranks[row], row), default=NONE)
    return held


@given(NETS)
def test_the_longest_prefix_holds(nets: list[Net]) -> None:
    """At every address, both families, with networks that nest, touch, repeat and reach either end."""
    index = np.arange(len(nets), dtype=np.int32)
    flat = axes(nets_of([str(net) for net in nets]), index)
    assert found(*flat) == naive(nets, [net.prefixlen for net in nets])
    assert found(*(without_lengths(axis) for axis in flat)) == naive(nets, [net.prefixlen for net in nets])
    for axis in flat:
        assert int.from_bytes(bytes(axis.starts[:1].tobytes())) == 0
        assert (axis.starts[1:] > axis.starts[:-1]).all()


@given(NETS, st.randoms(use_true_random=False))
def test_a_rank_goes_before_the_length(nets: list[Net], rng: Random) -> None:
    """Who is of a higher rank covers even longer prefixes."""
    ranks = [rng.randrange(3) for _ in nets]
    flat = axes(nets_of([str(net) for net in nets]), np.arange(len(nets), dtype=np.int32), np.array(ranks, np.int64))
    assert found(*flat) == naive(nets, ranks)


@given(st.lists(NETS, min_size=1, max_size=4))
def test_the_longest_prefix_over_several_axes(feeds: list[list[Net]]) -> None:
    """The longest of all wins, the first axis at a tie; and which one it was."""
    flat = [axes(nets_of([str(n) for n in nets]), np.arange(len(nets), dtype=np.int32)) for nets in feeds]
    four, who4 = overlaid([pair[0] for pair in flat])
    six, who6 = overlaid([pair[1] for pair in flat])
    winners = found(four._replace(index=who4.astype(np.int32)), six._replace(index=who6.astype(np.int32)))
    held = found(four, six)
    each = [naive(nets, [net.prefixlen for net in nets]) for nets in feeds]
    for probe in PROBES:
        lengths = [feeds[i][one[probe]].prefixlen if one[probe] != NONE else -1 for i, one in enumerate(each)]
        best = lengths.index(max(lengths))
        assert winners[probe] == (best if lengths[best] >= 0 else -1)
        assert held[probe] == each[best][probe]


def test_much_at_once_is_painted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound on memory changes nothing: the same networks, a few intervals at a time."""
    texts = ["0.0.0.0/0", *(f"{n}.0.0.0/8" for n in range(200)), *(f"10.{n}.0.0/16" for n in range(200))]
    index = np.arange(len(texts), dtype=np.int32)
    whole = axes(nets_of(texts), index)[0]
    monkeypatch.setattr(intervals, "_PAINT_AT_ONCE", 7)
    parts = axes(nets_of(texts), index)[0]
    assert whole.starts.tolist() == parts.starts.tolist()
    assert whole.index.tolist() == parts.index.tolist()


def test_nothing_holds_without_networks() -> None:
    """The empty axes, and that neighbours with the same are one."""
    assert set(found(empty4(), empty6()).values()) == {NONE}
    axis = Axis(np.arange(4, dtype=np.uint32), np.array([1, 1, 2, 1], np.int32), np.zeros(4, np.uint8))
    assert merged(axis).starts.tolist() == [0, 2, 3]
