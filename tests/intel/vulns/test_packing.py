"""Feeds are unpacked as they are read, bounded, and damage is told where it is."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise

import pytest
import zstandard
from hypothesis import assume, given
from hypothesis import strategies as st

from spectra.intel.vulns import VulnFeedError, packing
from spectra.intel.vulns.packing import Source, unpacked

Pack = Callable[[bytes], bytes]
PACKERS: dict[str, Pack] = {
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def all_of(source: Source) -> bytes:
    """Everything that a source gives."""
    return b"".join(iter(source.chunk, b""))


def taken_before_the_error(data: bytes) -> bytes:
    """What comes out of a damaged feed until it is told."""
    out: list[bytes] = []

    def take() -> None:
        source = unpacked(BytesIO(data))
        while piece := source.chunk():
            out.append(piece)

    with pytest.raises(VulnFeedError):
        take()
    return b"".join(out)


@given(st.binary(max_size=3000), st.lists(st.sampled_from(sorted(PACKERS)), max_size=3))
def test_every_packing_comes_off(data: bytes, names: list[str]) -> None:
    """Also one around the other; and what is not packed is as it is."""
    assume(not any(data.startswith(magic) for magic, _ in packing._PACKINGS))
    packed = data
    for name in names:
        packed = PACKERS[name](packed)
    assert all_of(unpacked(BytesIO(packed))) == data


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_members_and_frames_are_read_on(name: str) -> None:
    """A packing of several parts, as parallel packers and `cat` make them, is all of them."""
    pack = PACKERS[name]
    assert all_of(unpacked(BytesIO(pack(b"one") + pack(b"") + pack(b"two" * 100_000)))) == b"one" + b"two" * 100_000


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_a_packing_that_ends_too_early_is_told_at_its_end(name: str) -> None:
    """Never taken for the whole; what came before is given."""
    data = bytes(range(256)) * 4_000
    packed = PACKERS[name](data)
    assert data.startswith(taken_before_the_error(packed[: len(packed) // 2]))


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_a_damaged_packing_is_told(name: str) -> None:
    """A turned byte in the middle, by the checksum that each can have."""
    pack = zstandard.ZstdCompressor(write_checksum=True).compress if name == "zstd" else PACKERS[name]
    packed = bytearray(pack(bytes(range(256)) * 40))
    packed[len(packed) // 2] ^= 0xFF
    taken_before_the_error(bytes(packed))


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_a_bomb_is_stopped_at_the_bound(name: str) -> None:
    """16 MiB of zeros in some KB never come out where 1 MB is allowed."""
    bomb = PACKERS[name](bytes(1 << 24))
    with pytest.raises(VulnFeedError, match="larger than 1000000 bytes") as caught:
        all_of(unpacked(BytesIO(bomb), max_bytes=1_000_000))
    assert caught.value.reason == "feed_too_large"


def test_packing_without_end_is_refused() -> None:
    """Each layer would be bounded, but not how many."""
    data = b"x"
    for _ in range(6):
        data = gzip.compress(data)
    with pytest.raises(VulnFeedError, match="too many times"):
        unpacked(BytesIO(data))


def test_zeros_may_follow_gzip_but_nothing_else() -> None:
    """Tapes and block devices pad with zeros."""
    assert all_of(unpacked(BytesIO(gzip.compress(b"data") + bytes(1000)))) == b"data"
    assert taken_before_the_error(gzip.compress(b"data") + b"something else") == b"data"


def test_a_file_that_cannot_be_read_is_told() -> None:
    """The system's own word for it."""

    class Broken(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(VulnFeedError, match="Input/output error") as caught:
        all_of(unpacked(Broken()))
    assert caught.value.reason == "feed_unreadable"


@given(
    st.lists(st.binary(max_size=30), max_size=20),
    st.lists(st.tuples(st.sampled_from(["chunk", "read", "peek", "push"]), st.integers(1, 50)), max_size=30),
)
def test_whatever_is_asked_for_nothing_is_lost_or_turned(pieces: list[bytes], steps: list[tuple[str, int]]) -> None:
    """Pieces come out in their order in any mixture of reading, looking ahead and putting back."""
    whole = b"".join(pieces)
    source = Source(pieces)
    at = 0
    for step, size in steps:
        if step == "push":
            back = min(at, size)
            source.push(whole[at - back : at])
            at -= back
        elif step == "peek":
            assert source.peek(size) == whole[at : at + size]
        else:
            got = source.read(size) if step == "read" else source.chunk(size)
            assert got == whole[at : at + len(got)]
            assert len(got) <= size
            assert len(got) == size or step == "chunk" or at + len(got) == len(whole)
            at += len(got)
    assert all_of(source) == whole[at:]


def test_pieces_are_small() -> None:
    """What is held at a time does not grow with the feed."""
    source = unpacked(BytesIO(zstandard.compress(b'{"id": 1}\n' * 300_000)))
    sizes = [len(piece) for piece in iter(source.chunk, b"")]
    assert max(sizes) <= 1 << 18
    assert len(list(pairwise(sizes))) > 10
