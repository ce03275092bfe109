"""Asset sets come out of the blob store as they went in, or not at all."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.errors import Corrupt
from spectra.flow.assets import Asset, pack, unpack
from spectra.model.observation import (
    Banner,
    Certificate,
    EndpointSeen,
    Evidence,
    Hostname,
    HostSeen,
    NameSeen,
    Service,
    Silent,
    Swept,
)

times = st.integers(0, 2**32 - 1).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
words = st.text(max_size=12)
ips = st.ip_addresses().map(str)
protocols = st.sampled_from(["tcp", "udp", "sctp"])
states = st.sampled_from(["open", "closed", "filtered"])
evidence = st.lists(st.builds(Evidence, words, words, words, words), max_size=2).map(tuple)
certificates = st.builds(
    Certificate,
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    words,
    words,
    words,
    st.lists(words, max_size=2).map(tuple),
    st.none() | times,
    st.none() | times,
    words,
    words,
)
services = st.builds(Service, words, words, words, cpe=st.lists(words, max_size=2).map(tuple))
endpoints = st.builds(
    EndpointSeen,
    st.integers(0, 65535),
    protocols,
    states,
    st.none() | services,
    st.none() | st.builds(Banner, words, words),
    st.none() | certificates,
    evidence,
)
names = st.lists(st.builds(Hostname, words, st.sampled_from(["user", "ptr", "dns", "tls"])), max_size=2).map(tuple)
hosts = st.builds(
    HostSeen,
    ips,
    times,
    st.lists(endpoints, max_size=3).map(tuple),
    names,
    st.none() | states,
    words,
    words,
    words,
    evidence,
)
ranges = st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535)), max_size=3).map(tuple)
assets = st.lists(
    hosts
    | st.builds(NameSeen, words, times, evidence)
    | st.builds(Silent, ips, times)
    | st.builds(Swept, protocols, ranges),
    max_size=8,
)


@given(assets, st.binary(max_size=40))
def test_what_is_packed_is_unpacked(records: list[Asset], salt: bytes) -> None:
    """Every kind of record, in order, whatever its fields."""
    assert list(unpack(pack(records, salt))) == records


@given(assets)
def test_equal_sets_of_two_submissions_are_two_blobs(records: list[Asset]) -> None:
    """So that one workflow's clean-up never takes another's assets; the same submission gives the same bytes."""
    one, other = pack(records, b"one"), pack(records, b"two")
    assert hashlib.sha256(one).digest() != hashlib.sha256(other).digest()
    assert pack(records, b"one") == one


HOST = HostSeen("192.0.2.1", datetime(2026, 1, 1, tzinfo=UTC), (EndpointSeen(80, "tcp", "open"),))


def corrupt_or_whole(data: bytes, records: list[HostSeen]) -> bool:
    """Whether it is reported as corrupt; if not, nothing may be missing or changed."""
    try:
        found = list(unpack(data))
    except Corrupt as error:
        return error.reason == "asset_set_corrupt"
    assert found == records
    return False


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_damaged_set_is_never_another_set(position: int, change: int) -> None:
    """A changed byte is reported, or did not matter (in the salt's frame header); it never gives other records."""
    data = bytearray(pack([HOST] * 3, b"salt"))
    data[position % len(data)] ^= change
    corrupt_or_whole(bytes(data), [HOST] * 3)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_set_are_reported(data: bytes) -> None:
    """Whatever they are."""
    with pytest.raises(Corrupt):
        list(unpack(data))


def test_a_cut_set_is_never_a_shorter_one() -> None:
    """Wherever it is cut; only the frame's own checksum, at the very end, may be missing without harm."""
    data = pack([HOST] * 50, b"salt")
    reported = [corrupt_or_whole(data[:end], [HOST] * 50) for end in range(len(data))]
    assert all(reported[:-4])
