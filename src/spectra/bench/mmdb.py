"""A small writer of MaxMind-format files (https://maxmind.github.io/MaxMind-DB/), for made-up ones to be measured with.

Networks must not overlap; of types it knows those that such files are made of.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from typing import Any, Final

MARKER: Final = b"\xab\xcd\xefMaxMind.com"
_SEPARATOR: Final = bytes(16)
_STRING, _DOUBLE, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 3, 5, 6, 7, 9, 11
_EMPTY: Final = -1
# The types that readers ask of the numbers of the metadata; any other is a 16-bit one.
_METADATA: Final = {"build_epoch": _UINT64, "node_count": _UINT32}


def encoded(value: Any) -> bytes:
    """A value of the data section: a string, float, map, list, or unsigned integer."""
    if isinstance(value, str):
        data = value.encode()
        return _control(_STRING, len(data)) + data
    if isinstance(value, float):
        return _control(_DOUBLE, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        return _number(_UINT32 if value < 1 << 32 else _UINT64, value)
    if isinstance(value, Mapping):
        pairs: Mapping[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return _control(_MAP, len(pairs)) + b"".join(encoded(key) + encoded(item) for key, item in pairs.items())
    return _control(_ARRAY, len(value)) + b"".join(encoded(item) for item in value)


def database(
    networks: Mapping[str, Any], *, bits: int = 28, version: int = 6, kind: str = "Test-City", **meta: Any
) -> bytes:
    """The bytes of a database of `networks` (CIDR to record), with tree records of `bits` bits.

    IPv4 networks of an IPv6 tree go below `::/96`. `meta` replaces parts of the metadata.
    """
    tree, data = _Tree(128 if version == 6 else 32), bytearray()
    places: dict[int, int] = {}
    for text, value in networks.items():
        if id(value) not in places:  # a record that several networks share is there once
            places[id(value)] = len(data)
            data += encoded(value)
        net = ipaddress.ip_network(text)
        length = net.prefixlen + (96 if version == 6 and net.version == 4 else 0)
        tree.insert(int(net.network_address), length, places[id(value)])
    about = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_700_000_000,
        "database_type": kind,
        "description": {"en": "made up"},
        "ip_version": version,
        "languages": ["en"],
        "node_count": tree.size,
        "record_size": bits,
    }
    return tree.packed(bits) + _SEPARATOR + bytes(data) + MARKER + _metadata(about | meta)


class _Tree:
    """Pairs of records: the number of a node, `_EMPTY`, or a place in the data as -2 minus it."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._pairs = [[_EMPTY, _EMPTY]]

    @property
    def size(self) -> int:
        """How many nodes there are."""
        return len(self._pairs)

    def insert(self, number: int, length: int, place: int) -> None:
        """Put a place at the end of the first `length` bits of `number`."""
        node = self._pairs[0]
        for depth in range(length - 1):
            side = number >> (self._width - 1 - depth) & 1
            if node[side] == _EMPTY:
                node[side] = len(self._pairs)
                self._pairs.append([_EMPTY, _EMPTY])
            node = self._pairs[node[side]]
        node[number >> (self._width - length) & 1] = -2 - place

    def packed(self, bits: int) -> bytes:
        """The bytes of the tree."""
        return b"".join(_packed(self._record(left), self._record(right), bits) for left, right in self._pairs)

    def _record(self, value: int) -> int:
        if value >= 0:
            return value
        return self.size if value == _EMPTY else self.size + len(_SEPARATOR) - 2 - value


def _packed(left: int, right: int, bits: int) -> bytes:
    if bits == 28:
        middle = bytes([(left >> 24) << 4 | right >> 24])
        return (left & 0xFFFFFF).to_bytes(3) + middle + (right & 0xFFFFFF).to_bytes(3)
    return left.to_bytes(bits // 8) + right.to_bytes(bits // 8)


def _metadata(about: Mapping[str, Any]) -> bytes:
    out = _control(_MAP, len(about))
    for key, value in about.items():
        number = _number(_METADATA.get(key, _UINT16), value) if isinstance(value, int) else None
        out += encoded(key) + (encoded(value) if number is None else number)
    return out


def _number(kind: int, value: int) -> bytes:
    data = value.to_bytes(8).lstrip(b"\0")
    return _control(kind, len(data)) + data


def _control(kind: int, size: int) -> bytes:
    """The control byte; types above 7 are told by a second one, sizes from 29 to 284 by one behind that."""
    if size >= 285:
        raise ValueError(f"values of {size} items are not written here")
    first = 0 if kind > 7 else kind << 5
    extended = bytes([kind - 7]) if kind > 7 else b""
    return bytes([first | min(size, 29)]) + extended + (bytes([size - 29]) if size >= 29 else b"")
