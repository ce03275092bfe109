"""Targets: what a job is cut into."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spectra.collect.netset import NetSet
from spectra.collect.targets import parse_target, parse_targets
from spectra.flow import chunks
from spectra.store.jobs import NewTarget


def cut(*texts: str, chunk: int = 256) -> list[NewTarget]:
    """The targets of what was named."""
    return list(chunks.cut(chunks.wanted(parse_targets(texts)), chunk))


def test_a_sixteen_is_hundreds_of_targets_and_a_host_is_one() -> None:
    """One /24 each, and nothing twice."""
    targets = cut("10.1.0.0/16")
    assert len(targets) == 256
    assert targets[3] == NewTarget(("10.1.3.0/24",), "10.1.3.0/24", 256)
    assert cut("192.0.2.7") == [NewTarget(("192.0.2.7",), "192.0.2.0/24", 1)]


def test_names_and_hosts_are_targets_of_their_own() -> None:
    """A host within a network that was named too is not scanned twice; nor is a name."""
    targets = cut("www.example.org", "192.0.2.7", "198.51.100.1", "192.0.2.0/29", "WWW.example.org")
    assert [t.targets for t in targets] == [("www.example.org",), ("198.51.100.1",), ("192.0.2.0/29",)]
    assert targets[0].network == ""


def test_chunks_end_at_the_borders_of_networks() -> None:
    """A range over two networks is in both, and chunks are as many addresses as was asked for."""
    assert [(t.targets, t.network) for t in cut("10.0.0.254-10.0.1.1")] == [
        (("10.0.0.254/31",), "10.0.0.0/24"),
        (("10.0.1.0/31",), "10.0.1.0/24"),
    ]
    assert [t.addresses for t in cut("10.0.0.0/24", chunk=100)] == [100, 100, 56]
    assert [t.network for t in cut("2001:db8::/119", chunk=256)] == ["2001:db8::/64"] * 2


def test_planned_hosts_have_ports_of_their_own() -> None:
    """What a plan looks at again is looked at where it was seen."""
    assert list(chunks.planned([("192.0.2.7", "22,U:53")])) == [NewTarget(("192.0.2.7",), "192.0.2.0/24", 1, "22,U:53")]


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 600), st.booleans()).map(
            lambda p: (f"10.0.{p[0] // 256}.{p[0] % 256}", p[0] + p[1], p[2])
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 256),
)
def test_nothing_is_lost_doubled_or_too_large(ranges: list[tuple[str, int, bool]], chunk: int) -> None:
    """Whatever was named: the targets are exactly that, disjoint, small, and each of one network."""
    texts = [first if alone else f"{first}-10.0.{top // 256}.{top % 256}" for first, top, alone in ranges]
    asked = NetSet.union(target.addresses for target in parse_targets(texts))
    sets = [
        (target, NetSet.union(parse_target(text).addresses for text in target.targets))
        for target in chunks.cut(chunks.wanted(parse_targets(texts)), chunk)
    ]
    assert NetSet.union(found for _, found in sets) == asked
    assert sum(found.size for _, found in sets) == asked.size
    for target, found in sets:
        assert found.size == target.addresses == chunks.size(target.targets) <= chunk
        assert {chunks.network_of(address) for address in found} == {target.network}
