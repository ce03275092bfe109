"""Archives are read in one pass, without seeking and without their table of contents."""

from __future__ import annotations

import tarfile
import zipfile
from io import BytesIO, RawIOBase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.vulns import VulnFeedError, archive
from spectra.intel.vulns.packing import Source

FILES = {"cves/1.json": b"one", "cves/empty.json": b"", "cves/2.json": b"two" * 50_000, "README.md": b"text"}


class Pipe(RawIOBase):
    """A target that cannot seek: sizes are written behind the data then."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object, /) -> int:
        """Keep it."""
        piece = bytes(data)  # type: ignore[call-overload]
        self.data += piece
        return len(piece)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, to_pipe: bool = False) -> bytes:
    """A zip of files."""
    target: Pipe | BytesIO = Pipe() if to_pipe else BytesIO()
    with zipfile.ZipFile(target, "w", method) as made:  # type: ignore[arg-type]
        for name, data in files.items():
            made.writestr(name, data)
    return bytes(target.data) if isinstance(target, Pipe) else target.getvalue()


def tarred(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of files, with a folder before them."""
    target = BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as made:
        folder = tarfile.TarInfo("cves")
        folder.type = tarfile.DIRTYPE
        made.addfile(folder)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, BytesIO(data))
    return target.getvalue()


def read(data: bytes, size: int = 1000, **options: int) -> dict[str, bytes]:
    """The files of an archive that comes in pieces of `size`."""
    source = Source(data[at : at + size] for at in range(0, len(data), size))
    members = archive.members(source, **options)
    assert members is not None
    return {member.name: b"".join(iter(member.source.chunk, b"")) for member in members}


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_a_zip_is_read_whatever_pieces_it_comes_in(size: int) -> None:
    """Deflated or stored, with sizes before the data or behind it."""
    assert read(zipped(FILES), size) == FILES
    assert read(zipped(FILES, zipfile.ZIP_STORED), size) == FILES
    assert read(zipped(FILES, to_pipe=True), size) == FILES


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_a_tar_is_read_in_all_its_forms(form: int) -> None:
    """Folders and extended headers are passed over."""
    assert read(tarred(FILES, form)) == FILES


def test_a_member_that_is_not_read_is_passed() -> None:
    """The next one begins where it should."""
    for data in (zipped(FILES), tarred(FILES)):
        members = archive.members(Source([data]))
        assert members is not None
        assert [member.name for member in members] == list(FILES)


def test_an_empty_archive_has_no_files() -> None:
    """It is one all the same."""
    assert read(zipped({})) == {}


def test_what_is_no_archive_is_none() -> None:
    """Nor is anything taken away from it."""
    source = Source([b'{"id": 1}'])
    assert archive.members(source) is None
    assert source.read(100) == b'{"id": 1}'


@pytest.mark.parametrize("data", [zipped(FILES), zipped(FILES, to_pipe=True), tarred(FILES)])
def test_an_archive_that_ends_too_early_is_told(data: bytes) -> None:
    """Wherever it is cut within its files."""
    for part in (0.1, 0.2, 0.3):
        with pytest.raises(VulnFeedError):
            read(data[: int(len(data) * part)])


def test_a_turned_byte_is_told() -> None:
    """By the checksum of the file."""
    data = zipped(FILES, zipfile.ZIP_STORED)
    with pytest.raises(VulnFeedError, match="does not have its checksum"):
        read(data.replace(b"twotwo", b"twotwu", 1))


def test_a_bomb_is_stopped() -> None:
    """The files together are bounded."""
    with pytest.raises(VulnFeedError, match="too large") as caught:
        read(zipped({"a.json": bytes(1 << 22)}), max_bytes=1 << 20)
    assert caught.value.reason == "feed_too_large"


def test_packing_that_is_not_read_is_told() -> None:
    """Encryption and rare methods."""
    with pytest.raises(VulnFeedError, match="Pack it again"):
        read(zipped(FILES, zipfile.ZIP_BZIP2))


@given(st.sampled_from([zipped(FILES), tarred({"a": b"x" * 600})]), st.data())
def test_damage_never_escapes_as_anything_else(whole: bytes, draw: st.DataObject) -> None:
    """A few turned bytes give files or `VulnFeedError`, nothing else."""
    data = bytearray(whole)
    for _ in range(draw.draw(st.integers(1, 5))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    members = archive.members(Source([bytes(data)]), max_bytes=1 << 22)
    try:
        for member in members or ():
            b"".join(iter(member.source.chunk, b""))
    except VulnFeedError:
        return
