"""What an import reads: files, folders, standard input, compressed files and archives, bounded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spectra.cli import sources
from spectra.cli.sources import Limits, Piece, Unreadable, find, halves, pieces

LINES = b"".join(b'{"ip":"192.0.2.%d","port":22}\n' % n for n in range(200))
SMALL = Limits(output=1000, part=400, total=100_000)


def tar(members: dict[str, bytes]) -> bytes:
    """A tar archive of `members`, with a folder and a link that must not be followed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            facts = tarfile.TarInfo(name)
            facts.size, facts.mtime = len(data), 1_700_000_000
            archive.addfile(facts, io.BytesIO(data))
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


Packer = Callable[[bytes], bytes]


def two(pack: Packer) -> Packer:
    """Packs in two members or frames, one after the other, as `cat a.gz b.gz` does."""
    return lambda data: pack(data[:300]) + pack(data[300:])


def both(data: bytes) -> bytes:
    """Packed twice."""
    return zstandard.compress(gzip.compress(data))


def read(path: Path, data: bytes, limits: Limits | None = None) -> list[Piece]:
    """The pieces of a file with `data`."""
    path.write_bytes(data)
    return list(pieces(path, limits=limits))


def test_a_file_is_one_piece(tmp_path: Path) -> None:
    """The output is taken as it is, dated by the file."""
    path = tmp_path / "scan.xml"
    path.write_bytes(b"<nmaprun/>")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    (piece,) = pieces(path)
    assert (piece.data, piece.part, piece.last) == (b"<nmaprun/>", 0, True)
    assert piece.modified == datetime.fromtimestamp(1_700_000_000, UTC)


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        zstandard.compress,
        two(gzip.compress),
        two(zstandard.compress),
        both,
    ],
    ids=["gzip", "zstd", "gzip members", "zstd frames", "both"],
)
def test_compression_comes_off(tmp_path: Path, pack: Packer) -> None:
    """The original output is submitted, whatever the file is called."""
    (piece,) = read(tmp_path / "anything", pack(LINES))
    assert (piece.data, piece.error) == (LINES, "")


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["tar", "tar.gz", "tar.zst"])
def test_members_of_an_archive_are_files(tmp_path: Path, pack: Packer) -> None:
    """Each regular member is a file of its own; folders, links and hidden ones are left out."""
    data = tar({"a.jsonl": LINES, "deep/b.xml.gz": gzip.compress(b"<x/>"), ".hidden": b"x"})
    found = read(tmp_path / "scans", pack(data))
    assert [(p.name.rpartition(":")[2], p.data) for p in found] == [("a.jsonl", LINES), ("deep/b.xml.gz", b"<x/>")]
    assert found[0].modified == datetime.fromtimestamp(1_700_000_000, UTC)


@pytest.mark.parametrize(("pack", "name"), [(bz2.compress, "bzip2"), (lzma.compress, "xz")], ids=["bzip2", "xz"])
def test_other_compression_is_named(tmp_path: Path, pack: Packer, name: str) -> None:
    """What is packed in another way is not sent to a server that could not read it: the error says to unpack it."""
    (piece,) = read(tmp_path / "scan.packed", pack(LINES))
    assert (piece.data, f"packed with {name}" in piece.error, "Unpack it" in piece.error) == (b"", True, True)


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path) -> None:
    """Only one level of archives: a member that is a tar is submitted as it is, and refused by the server."""
    (piece,) = read(tmp_path / "x.tar", tar({"inner.tar": tar({"a": b"1"})}))
    assert piece.data[257:262] == b"ustar"


def test_lines_are_cut_at_line_ends(tmp_path: Path) -> None:
    """A line-based output beyond the limit becomes parts that put together are the whole."""
    parts = read(tmp_path / "big.jsonl", LINES, SMALL)
    assert b"".join(p.data for p in parts) == LINES
    assert all(p.data.endswith(b"\n") and len(p.data) <= SMALL.part for p in parts)
    assert [p.part for p in parts] == list(range(1, len(parts) + 1))
    assert [p.last for p in parts] == [False] * (len(parts) - 1) + [True]


@given(st.lists(st.binary(max_size=60).map(lambda b: b.replace(b"\n", b" ")), max_size=60))
def test_no_byte_is_lost(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    """Whatever the lines, the parts are the whole."""
    data = b"x" + b"\n".join(lines)
    limits = Limits(output=200, part=120, total=10**6)
    found = read(tmp_path_factory.mktemp("lines") / "f", data, limits)
    assert b"".join(p.data for p in found) == data
    assert found[-1].last
    assert not any(p.error for p in found)


@pytest.mark.parametrize("start", [b"<nmaprun>", b"\xef\xbb\xbf  <x>", b'[{"ip":'])
def test_what_holds_only_as_a_whole_is_refused(tmp_path: Path, start: bytes) -> None:
    """XML and JSON arrays beyond the limit say what to do instead."""
    (piece,) = read(tmp_path / "big.xml", start + b"x" * 2000, SMALL)
    assert "holds only as a whole" in piece.error
    assert "smaller ranges" in piece.error


def test_a_line_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """One endless line cannot be cut."""
    found = read(tmp_path / "f", b"a\n" + b"x" * 3000, SMALL)
    assert "a line is longer" in found[-1].error


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_an_archive_whose_headers_are_a_bomb_is_stopped(tmp_path: Path, kind: bytes) -> None:
    """Extended headers are read whole into memory, and sparse files are of any size: neither is begun."""
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 8 << 30
    (piece,) = read(tmp_path / "bomb.tar", header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert "header of 8589934592 bytes" in piece.error or "sparse" in piece.error


def test_a_long_name_in_an_archive_is_read(tmp_path: Path) -> None:
    """Either way of writing one is an extended header, of a size that is."""
    name = "d/" * 100 + "a.jsonl"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
            facts = tarfile.TarInfo(name)
            facts.size = len(LINES)
            archive.addfile(facts, io.BytesIO(LINES))
        (piece,) = read(tmp_path / "long.tar", buffer.getvalue())
        assert (piece.name, piece.data) == (f"{tmp_path / 'long.tar'}:{name}", LINES)


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    """A file that decompresses to more than is allowed ends with an error, and only a bounded part was read."""
    bomb = gzip.compress(b"a\n" * 1_000_000)
    found = read(tmp_path / "bomb.gz", bomb, SMALL)
    assert "more than is allowed" in found[-1].error
    assert sum(len(p.data) for p in found) <= SMALL.total


def test_members_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive of endless members is cut off after the allowed number."""
    monkeypatch.setattr(sources, "MAX_MEMBERS", 2)
    found = read(tmp_path / "x.tar", tar({"a": b"1", "b": b"2", "c": b"3"}))
    assert [p.data for p in found] == [b"1", b"2", b""]
    assert "members" in found[-1].error


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(LINES)[:-20],
        zstandard.compress(LINES)[:40],
        b"\x1f\x8b" + b"\0" * 60,
        b"\x28\xb5\x2f\xfd" + b"\xff" * 60,
    ],
    ids=["gzip cut", "zstd cut", "gzip wrong", "zstd wrong"],
)
def test_broken_compression_is_an_error_of_that_file(tmp_path: Path, data: bytes) -> None:
    """A broken file is told, not raised."""
    found = read(tmp_path / "broken", data)
    assert found[-1].error or found[-1].data or found[-1].skipped  # a cut zstd frame may give its beginning
    assert not any(p.data == LINES for p in found)


def test_an_archive_cut_off_keeps_what_came(tmp_path: Path) -> None:
    """Members before the damage are pieces, the damage is an error."""
    data = tar({"a": b"1", "b": LINES})
    found = read(tmp_path / "x.tar", data[: 512 * 2 + 600])
    assert found[0].data == b"1"
    assert found[-1].error


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    """A missing file, a device and an empty file each say what they are."""
    assert "No such file" in next(iter(pieces(tmp_path / "absent"))).error
    assert "not a regular file" in next(iter(pieces(Path("/dev/zero")))).error
    assert read(tmp_path / "empty", b" \n")[0].skipped == "empty"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads what is piped in, compressed or not."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(LINES))))
    (piece,) = pieces(None)
    assert (piece.name, piece.data, piece.modified) == ("stdin", LINES, None)


def test_folders(tmp_path: Path) -> None:
    """A folder gives its files in order; deeper ones only if asked for; hidden ones and linked folders never."""
    for name in ("b.xml", "a.xml", ".hidden", "deep/c.xml", ".git/d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    told: list[str] = []
    flat = list(find([str(tmp_path)], recursive=False, tell=told.append))
    assert [p.name for p in flat if p] == ["a.xml", "b.xml"]
    assert "-r takes them in" in told[0]
    deep = list(find([str(tmp_path), "-"], recursive=True, tell=told.append))
    assert [p and p.name for p in deep] == ["a.xml", "b.xml", "c.xml", None]


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without end is refused."""
    monkeypatch.setattr(sources, "MAX_FILES", 1)
    for name in ("a", "b"):
        (tmp_path / name).write_text("x")
    with pytest.raises(Unreadable):
        list(find([str(tmp_path)], recursive=True, tell=print))


def test_halves() -> None:
    """A piece too large for one envelope is cut in two at a line end, or says why it cannot be."""
    left, right = halves(Piece("f", LINES))
    assert left.data + right.data == LINES
    assert left.data.endswith(b"\n")
    assert abs(len(left.data) - len(right.data)) < 100
    assert left.part != right.part
    for whole in (b"<x>\n<y/>\n</x>", b"one line", b"one line\n"):
        with pytest.raises(Unreadable):
            halves(Piece("f", whole))
