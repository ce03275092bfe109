"""Any feed of weaknesses, item by item: packing and format are recognised by the content, and memory is bounded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import msgspec

from spectra.intel.vulns import archive, cvelist, epss, kev, nvd, osv
from spectra.intel.vulns.errors import VulnFeedError
from spectra.intel.vulns.packing import MAX_BYTES, Source, unpacked
from spectra.intel.vulns.splitting import ARRAY, MALFORMED, Raw, lines, rows, split
from spectra.intel.vulns.texts import moment
from spectra.model.envelope import Problem
from spectra.model.vulns import Epss, Kev, VulnRecord

Kind = Literal["nvd", "cve", "overrides", "kev", "epss", "osv"]
"""What a feed is about; for those of records also their `source`."""
Item = VulnRecord | Kev | Epss

_LOOK: Final = 100  # records that may be bad before the one that tells what feed it is
_BOM: Final = b"\xef\xbb\xbf"
_NUL: Final = rb"\u0000"  # no text of a database can hold it
_NO_RECORD: Final = re.compile(
    r"(?:.*/)?(?:delta|deltaLog|recent_activities)[^/]*\.json|(?:.*/)?\.[^/]*|__MACOSX/.*", re.IGNORECASE
)
_RECORD: Final = re.compile(r".*\.jsonl?|.*\.ndjson", re.IGNORECASE)
_PACKED: Final = (".csv", ".gz", ".zst", ".xz", ".bz2")
_AGAIN: Final = "Fetch it again."
_KNOWN: Final = (
    "NVD JSON 2.0, CVE records 5.x, NVD-style overrides, CISA KEV (JSON, CSV), EPSS (CSV, JSON) and OSV are read."
)


class _Reader(NamedTuple):
    """How the records of a feed are read, and whether each is exactly one item."""

    kind: Kind
    items: Callable[[bytes], Sequence[Item]]
    one: bool = True


class Feed:
    """A feed that is being read. Use as a context manager, or `close` it.

    `version` and `built` are what it says of itself ("" and None where it does not), `total` how many records it says
    that there are (of an answer in pages: on all of them). They are complete once it was read to its end.
    """

    def __init__(self, file: BinaryIO, *, max_bytes: int = MAX_BYTES) -> None:
        self._file = file
        self._head: dict[str, Any] = {}
        self._reader, self._raws = _opened(unpacked(file, max_bytes=max_bytes), self._head, max_bytes)

    @property
    def kind(self) -> Kind:
        return self._reader.kind

    @property
    def version(self) -> str:
        told = self._head.get("catalogVersion") or self._head.get("model_version") or self._head.get("version")
        return str(told)[:100] if isinstance(told, (str, float, int)) else ""

    @property
    def built(self) -> datetime | None:
        told = next((self._head[key] for key in ("timestamp", "dateReleased", "score_date") if key in self._head), None)
        return moment(told) if isinstance(told, str) else None

    @property
    def total(self) -> int | None:
        told = self._head.get("totalResults", self._head.get("count"))
        return told if isinstance(told, int) and told >= 0 else None

    def items(self, skip: int = 0) -> Iterator[Item | Problem]:
        """What the feed holds, in its order, without the first `skip` items; once.

        A record that cannot be read is a `Problem` with its line and counts as an item. Raises `VulnFeedError` where
        the feed is damaged or ends too early, after what came before that.
        """
        raws = self._raws
        if self._reader.one:
            for raw in raws:
                if skip > 0:
                    skip -= 1
                    continue
                yield from self._read(raw)
            return
        yield from islice((item for raw in raws for item in self._read(raw)), skip, None)

    def __iter__(self) -> Iterator[Item | Problem]:
        return self.items()

    def _read(self, raw: Raw) -> Sequence[Item | Problem]:
        data = raw.data.replace(_NUL, rb"\ufffd") if _NUL in raw.data else raw.data
        try:
            return self._reader.items(data)
        except (ValueError, RecursionError) as error:
            if raw.cut:
                raise VulnFeedError("The feed ends in the middle of a record.", hint=_AGAIN, line=raw.line) from error
            return (Problem(message=f"{raw.name}: {_why(error)}" if raw.name else _why(error), line=raw.line),)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_feed(source: Path | BinaryIO, *, max_bytes: int = MAX_BYTES) -> Feed:
    """The feed of a file or a binary stream (that need not seek), at most `max_bytes` unpacked.

    Raises `VulnFeedError` where it is none that is known here, empty, or damaged within what tells that.
    """
    try:
        file = source.open("rb") if isinstance(source, Path) else source
    except OSError as error:
        raise VulnFeedError(f"The feed cannot be read: {error.strerror or error}.", reason="feed_unreadable") from error
    try:
        return Feed(file, max_bytes=max_bytes)
    except BaseException:
        if isinstance(source, Path):
            file.close()
        raise


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the record is nested too deep"
    return str(error)[:300]


def _opened(source: Source, head: dict[str, Any], max_bytes: int) -> tuple[_Reader, Iterator[Raw]]:
    members = archive.members(source, max_bytes=max_bytes)
    if members is None:
        return _of_content(source, head)
    for member in members:
        if _is_record(member.name):
            return _of_records(_of_members(chain((member,), members), head), head)
        if member.name.lower().endswith(_PACKED):
            return _of_content(unpacked(member.source, max_bytes=max_bytes), head)
    raise VulnFeedError("The archive holds no file of records.", reason="feed_unknown", hint=_KNOWN)


def _is_record(name: str) -> bool:
    return bool(_RECORD.fullmatch(name)) and not _NO_RECORD.fullmatch(name)


def _of_members(members: Iterator[archive.Member], head: dict[str, Any]) -> Iterator[Raw]:
    """The records of all files of an archive. One that is damaged within itself is one bad record."""
    for member in members:
        if not _is_record(member.name):
            continue
        try:
            for raw in _split(member.source, head):
                yield Raw(raw.data, raw.line, name=member.name)
        except VulnFeedError as error:
            if error.reason != MALFORMED:
                raise
            yield Raw(b"", error.line, name=member.name)


def _of_content(source: Source, head: dict[str, Any]) -> tuple[_Reader, Iterator[Raw]]:
    if source.peek(3) == _BOM:
        source.read(3)
    start = source.peek(4096).lstrip()
    if not start:
        raise VulnFeedError("The feed is empty.", hint=_AGAIN)
    if start[:1] == b"<":
        hint = "The address it came from may have moved, or need a login."
        raise VulnFeedError("This is a web page, no feed.", hint=hint, line=1)
    if start[:1] in (b"{", b"["):
        return _of_records(_split(source, head), head)
    return _of_table(source, head)


def _split(source: Source, head: dict[str, Any]) -> Iterator[Raw]:
    if source.peek(3) == _BOM:
        source.read(3)
    return split(source, head)


def _of_records(raws: Iterator[Raw], head: dict[str, Any]) -> tuple[_Reader, Iterator[Raw]]:
    """The reader that fits the first record that is one."""
    seen: list[Raw] = []
    for raw in islice(raws, _LOOK):
        seen.append(raw)
        reader = _fitting(raw.data)
        if reader:
            return reader, chain(seen, raws)
    if not seen and ARRAY in head:
        return (_READERS["kev"] if "catalogVersion" in head else _EPSS if "score_date" in head else _NVD), iter(())
    if seen and seen[0].cut and not _is_json(seen[0].data):
        raise VulnFeedError("The feed ends in the middle of its first record.", hint=_AGAIN, line=seen[0].line)
    raise VulnFeedError("This is no feed of a known format.", reason="feed_unknown", hint=_KNOWN)


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return False
    return True


def _fitting(data: bytes) -> _Reader | None:
    """How a record is read, by its keys; None where they are none of those known."""
    try:
        keys = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        return None
    for key, reader in _BY_KEY.items():
        if key in keys:
            return reader
    if "cve" in keys:
        if b'"CVE_data_meta"' in bytes(keys["cve"]):
            raise VulnFeedError("This is the NVD's JSON 1.1, which ended in 2023.", reason="feed_unknown", hint=_KNOWN)
        return _NVD
    if "id" not in keys:
        return None
    if "descriptions" in keys or "vulnStatus" in keys:
        return _READERS["nvd"]
    return _READERS["osv"] if {"affected", "aliases", "modified"} & keys.keys() else None


def _of_table(source: Source, head: dict[str, Any]) -> tuple[_Reader, Iterator[Raw]]:
    """A table by its header; scores are known by their first row, too."""
    first = source.peek(4096).lstrip().partition(b"\n")[0]
    if kev.is_header(first):
        return _catalogue(rows(source))
    raws = lines(source)
    line = next(raws)
    while line.data.startswith(b"#"):
        head.update(epss.about(line.data))
        line = next(raws, Raw(b"", 0))
    if epss.is_header(line.data):
        return _Reader("epss", _each(epss.row_reader(line.data))), raws
    if not epss.is_row(line.data):
        raise VulnFeedError("This is no feed of a known format.", reason="feed_unknown", hint=_KNOWN)
    return _Reader("epss", _each(epss.row_reader(epss.HEADER))), chain((line,), raws)


def _catalogue(raws: Iterator[Raw]) -> tuple[_Reader, Iterator[Raw]]:
    header = next(raws)
    try:
        return _Reader("kev", _each(kev.row_reader(header.data))), raws
    except ValueError as error:
        raise VulnFeedError(f"The header is damaged: {error}.", line=header.line) from error


def _each(read: Callable[[bytes], Item]) -> Callable[[bytes], Sequence[Item]]:
    return lambda data: (read(data),)


_NVD: Final = _Reader("nvd", _each(nvd.item))
_EPSS: Final = _Reader("epss", _each(epss.entry))
_READERS: Final[dict[Kind, _Reader]] = {
    "nvd": _Reader("nvd", _each(nvd.bare)),
    "cve": _Reader("cve", _each(cvelist.record)),
    "overrides": _Reader("overrides", _each(nvd.override)),
    "kev": _Reader("kev", _each(kev.entry)),
    "osv": _Reader("osv", osv.records, one=False),
}
_BY_KEY: Final = {
    "cveMetadata": _READERS["cve"],
    "_annotation": _READERS["overrides"],
    "cveID": _READERS["kev"],
    "epss": _EPSS,
}
