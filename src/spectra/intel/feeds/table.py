"""A feed, compiled: the networks of any format as sorted intervals, each with the record that holds for it.

A table file is `_MAGIC`, the length of its head (4 bytes, big-endian), the SHA-256 of the head, the head (JSON) and,
from the next multiple of `_ALIGN` on, the sections the head lists. Numbers are little-endian, IPv6 keys the 16 bytes of
the address. Nothing in it depends on when or where it was made: equal feeds make equal bytes.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from spectra.errors import Corrupt
from spectra.intel.feeds.intervals import NONE, Axis, merged, without_lengths
from spectra.model.facts import Place

Kind = Literal["geo", "asn", "cloud", "as-names"]
"""`geo`: places. `asn`: AS numbers, with names where the feed has them. `cloud`: providers. `as-names`: names alone."""

_MAGIC: Final = b"SPCTBL\x00\x01"
_ALIGN: Final = 64
_MAX_HEAD: Final = 1 << 16
_DTYPES: Final = {
    "starts4": "<u4",
    "index4": "<i4",
    "lengths4": "u1",
    "starts6": "S16",
    "index6": "<i4",
    "lengths6": "u1",
    "offsets": "<u4",
    "records": "u1",
}

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Place).decode


class About(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a feed says of itself. `networks` counts its networks, or names for `as-names`."""

    kind: Kind
    format: str
    version: str = ""
    built: datetime | None = None
    networks: int = 0
    provider: str = ""


class _Head(msgspec.Struct, frozen=True):
    about: About
    sizes: dict[str, int]  # items of each section, in the order of `_DTYPES`
    sha256: str  # of the sections with the padding between them


class Table:
    """One feed, ready to be looked up. Made by `read`, or by `Table.load` from what `save` wrote.

    The places in it are partial: a `geo` record has no ASN, an `asn` record no city. `as-names` have AS numbers where
    the others have IPv4 addresses.
    """

    def __init__(self, about: About, v4: Axis, v6: Axis, offsets: npt.NDArray[np.uint32], blob: memoryview) -> None:
        self.about = about
        self.v4 = v4
        self.v6 = v6
        self._offsets = offsets
        self._blob = blob

    @property
    def kind(self) -> Kind:
        """What the table is about."""
        return self.about.kind

    @property
    def format(self) -> str:
        """The format it was read from, such as `mmdb:GeoLite2-City`, `routeviews`, `aws`."""
        return self.about.format

    @property
    def version(self) -> str:
        """The feed's own version: build date, syncToken, changeNumber; "" where it has none."""
        return self.about.version

    @property
    def built(self) -> datetime | None:
        """When the feed was made, by its own words."""
        return self.about.built

    @property
    def networks(self) -> int:
        """How many networks the feed has (names, for `as-names`)."""
        return self.about.networks

    @property
    def provider(self) -> str:
        """The provider of a `cloud` table (`aws`, `gcp` ...), else ""."""
        return self.about.provider

    @property
    def records(self) -> int:
        """How many distinct records there are."""
        return len(self._offsets) - 1

    def record(self, number: int) -> Place:
        """A record by its number."""
        return _decode(self._blob[self._offsets[number] : self._offsets[number + 1]])

    def save(self, path: Path) -> None:
        """Write the table to `path`; equal tables are equal bytes. The caller makes it atomic by renaming."""
        sections = self._sections()
        body = b"".join(_padded(part.tobytes()) for part in sections.values())
        sizes = {name: len(part) for name, part in sections.items()}
        head = msgspec.json.encode(_Head(self.about, sizes, hashlib.sha256(body).hexdigest()))
        start = _MAGIC + len(head).to_bytes(4) + hashlib.sha256(head).digest() + head
        with path.open("wb") as file:
            file.write(_padded(start))
            file.write(body)

    def _sections(self) -> dict[str, npt.NDArray[Any]]:
        blob = np.frombuffer(self._blob, np.uint8)
        return dict(zip(_DTYPES, (*self.v4, *self.v6, self._offsets, blob), strict=True))

    @classmethod
    def load(cls, path: Path, *, verify: bool = True) -> Table:
        """The table of `path`, memory-mapped. Raises `Corrupt`; without `verify` only its head is checked."""
        try:
            with path.open("rb") as file:
                data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise Corrupt(f"The table {path.name} cannot be read: {error}", reason="table_corrupt") from error
        head, body = _head(path, data)
        if verify and hashlib.sha256(body).hexdigest() != head.sha256:
            raise _corrupt(path)
        parts: dict[str, npt.NDArray[Any]] = {}
        at = 0
        for name, dtype in _DTYPES.items():
            parts[name] = np.frombuffer(body, dtype, head.sizes[name], at)
            at += _rounded(parts[name].nbytes)
        v4 = Axis(parts["starts4"], parts["index4"], parts["lengths4"])
        v6 = Axis(parts["starts6"], parts["index6"], parts["lengths6"])
        return cls(head.about, v4, v6, parts["offsets"], parts["records"].data)


def _head(path: Path, data: memoryview) -> tuple[_Head, memoryview]:
    """The head of a table file, and its sections after that; raises `Corrupt`."""
    start = len(_MAGIC) + 4 + 32
    size = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 4])
    text = data[start : start + size]
    if bytes(data[: len(_MAGIC)]) != _MAGIC or size > _MAX_HEAD or len(text) != size:
        raise _corrupt(path)
    if hashlib.sha256(text).digest() != bytes(data[start - 32 : start]):
        raise _corrupt(path)
    head = msgspec.json.decode(text, type=_Head)
    body = data[_rounded(start + size) :]
    if len(body) != sum(_rounded(np.dtype(dtype).itemsize * head.sizes[name]) for name, dtype in _DTYPES.items()):
        raise _corrupt(path)
    return head, body


def _corrupt(path: Path) -> Corrupt:
    return Corrupt(
        f"The table {path.name} is not what was written.", reason="table_corrupt", hint="Add the feed again."
    )


def _rounded(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN


def _padded(data: bytes) -> bytes:
    return data + bytes(_rounded(len(data)) - len(data))


def compiled(about: About, v4: Axis, v6: Axis, records: Sequence[Place]) -> Table:
    """The table of two axes over `records`. Records are numbered anew in the order of the addresses they are at."""
    if about.kind != "cloud":  # prefix lengths decide between providers alone
        v4, v6 = without_lengths(v4), without_lengths(v6)
    used, first = np.unique(np.concatenate((v4.index, v6.index)), return_index=True)
    in_order = used[np.argsort(first, kind="stable")]
    in_order = in_order[in_order != NONE]
    anew = np.full(len(records) + 1, NONE, np.int32)  # its last item is what NONE finds
    anew[in_order] = np.arange(len(in_order), dtype=np.int32)
    bodies = [_encode(records[i]) for i in in_order.tolist()]
    offsets = np.zeros(len(bodies) + 1, np.uint32)
    np.cumsum([len(body) for body in bodies], out=offsets[1:])
    v4, v6 = merged(v4._replace(index=anew[v4.index])), merged(v6._replace(index=anew[v6.index]))
    return Table(about, v4, v6, offsets, memoryview(b"".join(bodies)))
