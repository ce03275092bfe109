"""A payload's output: bounded, streaming, and what was claimed."""

from __future__ import annotations

import gzip
import hashlib
import io
import resource
from typing import Literal

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spectra.ingest.output import MAX_WINDOW_BYTES, open_output
from spectra.ingest.parsers import Context, ParseError, parse
from spectra.model.envelope import Output, Privacy
from spectra.model.observation import HostSeen
from tests.ingest.parsers.reading import DEFAULT_TIME, lines

Encoding = Literal["identity", "gzip", "zstd"]
ENCODINGS: tuple[Encoding, ...] = ("identity", "gzip", "zstd")
MIB = 1024 * 1024


def packed(encoding: Encoding, raw: bytes) -> bytes:
    """`raw` compressed."""
    if encoding == "gzip":
        return gzip.compress(raw)
    return zstandard.compress(raw) if encoding == "zstd" else raw


def output(encoding: Encoding, raw: bytes, data: bytes | None = None, size: int | None = None) -> Output:
    """An output that claims to be `raw`."""
    return Output(
        encoding=encoding,
        sha256=hashlib.sha256(raw).hexdigest(),
        size=len(raw) if size is None else size,
        data=packed(encoding, raw) if data is None else data,
    )


def reason(claimed: Output, max_bytes: int = 10 * MIB) -> str:
    """Why reading fails."""
    with pytest.raises(ParseError) as caught:
        open_output(claimed, max_bytes=max_bytes).read()
    return caught.value.reason


@given(st.sampled_from(ENCODINGS), st.binary(max_size=5000), st.integers(1, 3000))
def test_what_went_in_comes_out(encoding: Encoding, raw: bytes, size: int) -> None:
    """In pieces of any size, as often as one asks at the end."""
    stream = open_output(output(encoding, raw), max_bytes=len(raw))
    parts = list(iter(lambda: stream.read(size), b""))
    assert b"".join(parts) == raw
    assert stream.read() == b""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_large_outputs(encoding: Encoding) -> None:
    """More than one buffer, badly compressible and well, in several frames or members."""
    raw = hashlib.shake_256(b"x").digest(3 * MIB) + b"y" * (3 * MIB)
    assert open_output(output(encoding, raw), max_bytes=10 * MIB).read() == raw
    twice = output(encoding, raw + raw, packed(encoding, raw) * 2)
    assert open_output(twice, max_bytes=20 * MIB).read() == raw + raw


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_was_not_claimed_is_refused(encoding: Encoding) -> None:
    """Another size, in both directions, and other bytes of the same size."""
    assert reason(output(encoding, b"hello", size=4)) == "output_mismatch"
    assert reason(output(encoding, b"hello", size=6)) == "output_mismatch"
    assert reason(output(encoding, b"hello", packed(encoding, b"hellO"))) == "output_mismatch"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_too_large_is_refused(encoding: Encoding) -> None:
    """A claim above the bound before anything is read; one below it that does not hold, when the bound is passed."""
    raw = b"x" * 1000
    assert reason(output(encoding, raw), 999) == "too_large"
    assert reason(output(encoding, raw, size=500), 999) == "too_large"
    assert reason(output(encoding, b"", size=2**31)) == "too_large"


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_stops_at_the_bound(encoding: Encoding) -> None:
    """A gigabyte in a few kilobytes or a megabyte: reading stops, and memory grows by a few buffers only."""
    if encoding == "gzip":
        bomb = gzip.compress(b"\0" * (64 * MIB)) * 16
    else:
        compressor = zstandard.ZstdCompressor(write_content_size=False).compressobj()
        bomb = b"".join(compressor.compress(b"\0" * MIB) for _ in range(1024)) + compressor.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reason(output(encoding, b"", bomb, size=1000), 32 * MIB) in ("too_large", "output_mismatch")
    assert reason(output(encoding, b"", bomb, size=32 * MIB), 32 * MIB) == "too_large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_a_frame_that_claims_two_gigabytes_allocates_nothing() -> None:
    """A single-segment frame (RFC 8878 3.1.1.1) whose content size would be its window."""
    frame = bytes.fromhex("28b52ffd") + b"\xe0" + (2**31).to_bytes(8, "little") + b"\x01\x00\x00"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reason(output("zstd", b"", frame, size=10)) == "malformed_compression"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_the_window_is_bounded() -> None:
    """128 MiB, as `zstd --ultra -22 --long=27` asks for, is refused; the window of `-19` is not."""

    def with_window(log: int) -> bytes:
        parameters = zstandard.ZstdCompressionParameters(window_log=log, compression_level=1)
        compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        return compressor.compress(b"x" * 1000) + compressor.flush()

    assert 2**23 <= MAX_WINDOW_BYTES < 2**27
    assert open_output(output("zstd", b"x" * 1000, with_window(23)), max_bytes=MIB).read() == b"x" * 1000
    assert reason(output("zstd", b"x" * 1000, with_window(27))) == "malformed_compression"


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@given(data=st.binary(max_size=200))
def test_what_is_no_compressed_data(encoding: Encoding, data: bytes) -> None:
    """Any bytes, and good data that is cut or followed by others: one of two reasons, no other exception."""
    good = packed(encoding, b"hello" * 100)
    for broken in (data, good[: min(len(data), len(good) - 1)], good + b"\x01" + data):
        claimed = output(encoding, b"hello" * 100, broken)
        assert reason(claimed) in ("malformed_compression", "output_mismatch")


def test_an_unchecked_output_cannot_be_parsed_to_its_end() -> None:
    """Parsing reads all of it: a false hash is told although every host could be read."""
    raw = lines({"ip": "192.0.2.1", "port": 80})
    good, bad = output("zstd", raw), output("zstd", raw.replace(b"80", b"81"), packed("zstd", raw))
    context = Context(DEFAULT_TIME, Privacy.FULL)
    assert any(isinstance(r, HostSeen) for r in parse(open_output(good, max_bytes=MIB), context)[1])
    with pytest.raises(ParseError) as caught:
        list(parse(open_output(bad, max_bytes=MIB), context)[1])
    assert caught.value.reason == "output_mismatch"


def test_the_stream_is_an_ordinary_one() -> None:
    """Lines can be read from it, and it cannot be written."""
    stream = open_output(output("gzip", b"a\nb\n"), max_bytes=MIB)
    assert stream.readline() == b"a\n"
    assert stream.readable()
    with pytest.raises(io.UnsupportedOperation):
        stream.write(b"x")
