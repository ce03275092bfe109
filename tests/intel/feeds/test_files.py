"""Feed files: unpacked, bounded, and errors that say where."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import msgspec
import pytest
import zstandard

from spectra.intel.feeds import FeedError, files

TEXT = b"192.0.2.0/24\n" * 1000


def packed(name: str) -> bytes:
    """`TEXT` in two frames or members, as tools that append write them."""
    half = len(TEXT) // 2
    pack = gzip.compress if name == "gzip" else zstandard.ZstdCompressor().compress
    return pack(TEXT[:half]) + pack(TEXT[half:])


@pytest.mark.parametrize("name", ["plain", "gzip", "zstd"])
def test_bytes_however_packed(tmp_path: Path, name: str) -> None:
    """Plain, gzip and zstd, of more than one member, streamed zstd without its size in the head."""
    path = tmp_path / "feed"
    path.write_bytes(TEXT if name == "plain" else packed(name))
    assert files.load(path) == TEXT
    if name == "zstd":
        stream = zstandard.ZstdCompressor().compressobj()
        path.write_bytes(stream.compress(TEXT) + stream.flush())
        assert files.load(path) == TEXT


@pytest.mark.parametrize("name", ["gzip", "zstd"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "tail"])
def test_damage_is_named_with_its_byte(tmp_path: Path, name: str, damage: str) -> None:
    """A download that broke off, a flipped bit, rubbish behind the end."""
    data = bytearray(packed(name))
    if damage == "cut":
        del data[-10:]
    elif damage == "flipped":
        data[-4] ^= 0xFF
    else:
        data += b"<html>" * 3
    path = tmp_path / "feed"
    path.write_bytes(data)
    if (name, damage) == ("zstd", "flipped"):
        pytest.skip("these frames have no checksum")
    with pytest.raises(FeedError) as caught:
        files.load(path)
    assert caught.value.offset >= 0
    assert str(caught.value).startswith("byte ")


@pytest.mark.parametrize("name", ["plain", "gzip", "zstd"])
def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """However small it was packed."""
    monkeypatch.setattr(files, "MAX_BYTES", 5000)
    bomb = bytes(4 << 20)
    path = tmp_path / "feed"
    path.write_bytes(
        {"plain": lambda: bomb, "gzip": lambda: gzip.compress(bomb), "zstd": lambda: zstandard.compress(bomb)}[name]()
    )
    with pytest.raises(FeedError) as caught:
        files.load(path)
    assert caught.value.reason == "feed_too_large"


def test_a_window_too_large_is_refused(tmp_path: Path) -> None:
    """zstd frames say how much memory they want."""
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    path = tmp_path / "feed"
    path.write_bytes(stream.compress(TEXT) + stream.flush())
    with pytest.raises(FeedError, match="damaged"):
        files.load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Nor is a folder a feed."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FeedError) as caught:
            files.load(path)
        assert caught.value.reason == "feed_unreadable"


class _Pair(msgspec.Struct):
    a: list[int]


def test_json_that_does_not_fit() -> None:
    """By its path; what is no JSON by its byte; what nests too deep is no stack overflow."""
    assert files.json(b'{"a": [1], "b": {}}', _Pair) == _Pair([1])
    with pytest.raises(FeedError) as caught:
        files.json(b'{"a": [1, "x"]}', _Pair)
    assert caught.value.field == "a[1]"
    with pytest.raises(FeedError) as caught:
        files.json(b'{"a": [1, "x"]}', _Pair, "x[7]")
    assert caught.value.field == "x[7].a[1]"
    with pytest.raises(FeedError) as caught:
        files.json(b'{"a": [1, 2', _Pair)
    assert caught.value.field == ""
    with pytest.raises(FeedError) as caught:
        files.json(b'{"a": [1], ]', _Pair)
    assert caught.value.offset == 11
    with pytest.raises(FeedError) as caught:
        files.json(b'{"b": ' + b"[" * 1_000_000, dict[str, msgspec.Raw])  # type: ignore[arg-type]
    assert caught.value.reason in ("feed_too_large", "feed_corrupt")
    with pytest.raises(FeedError):
        files.json(b'{"\xff\xfe": 1}', _Pair)


def test_text() -> None:
    """Without its mark; what is no UTF-8 names its line."""
    assert files.text(b"\xef\xbb\xbfa") == "a"
    with pytest.raises(FeedError) as caught:
        files.text(b"a\nb\n\xff")
    assert caught.value.line == 3


def test_bounds() -> None:
    """Networks are counted, words are cut and cleaned."""
    files.many(files.MAX_NETWORKS)
    with pytest.raises(FeedError) as caught:
        files.many(files.MAX_NETWORKS + 1)
    assert caught.value.reason == "feed_too_large"
    assert files.word(" a\x1b[31m\u202eb ") == "a [31m b"
    assert len(files.word("x" * 500)) == files.MAX_WORD
    assert zlib.crc32(b"") == 0
