"""A small writer of MaxMind-format files, to make ones that nobody has."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from typing import Any

MARKER = b"\xab\xcd\xefMaxMind.com"


def encoded(value: Any) -> bytes:
    """A value of the data section (strings, maps, arrays, doubles, unsigned integers)."""
    if isinstance(value, str):
        data = value.encode()
        return _control(2, len(data)) + data
    if isinstance(value, float):
        return _control(3, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        return _number(6 if value < 1 << 32 else 9, value)
    if isinstance(value, Mapping):
        return _control(7, len(value)) + b"".join(encoded(k) + encoded(v) for k, v in value.items())
    return _control(11, len(value)) + b"".join(encoded(item) for item in value)


def _number(kind: int, value: int) -> bytes:
    data = value.to_bytes(8).lstrip(b"\0")
    return _control(kind, len(data)) + data


def _control(kind: int, size: int) -> bytes:
    extended = bytes([kind - 7]) if kind > 7 else b""
    first = 0 if kind > 7 else kind << 5
    assert size < 285
    return bytes([first | min(size, 29)]) + extended + (bytes([size - 29]) if size >= 29 else b"")


def database(
    networks: Mapping[str, Any], *, bits: int = 28, version: int = 6, kind: str = "Test-City", **meta: Any
) -> bytes:
    """The bytes of a database of disjoint `networks`, with records of `bits` bits."""
    nodes: list[list[Any]] = [[None, None]]
    data = b""
    for text, value in networks.items():
        at = len(data)
        data += encoded(value)
        for number, length in _placed(text, version):
            _insert(nodes, number, length, 128 if version == 6 else 32, at)
    tree = b"".join(_node(left, right, len(nodes), bits) for left, right in nodes)
    about = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_700_000_000,
        "database_type": kind,
        "description": {"en": "a test"},
        "ip_version": version,
        "languages": ["en"],
        "node_count": len(nodes),
        "record_size": bits,
    }
    return tree + bytes(16) + data + MARKER + _metadata(about | meta)


# The types that readers ask of the numbers of the metadata: 5 is uint16, 6 uint32, 9 uint64.
_TYPES = {"build_epoch": 9, "node_count": 6}


def _metadata(about: dict[str, Any]) -> bytes:
    out = _control(7, len(about))
    for key, value in about.items():
        out += encoded(key) + (_number(_TYPES.get(key, 5), value) if isinstance(value, int) else encoded(value))
    return out


def _placed(text: str, version: int) -> list[tuple[int, int]]:
    net = ipaddress.ip_network(text)
    return [(int(net.network_address), net.prefixlen + (96 if version == 6 and net.version == 4 else 0))]


def _insert(nodes: list[list[Any]], number: int, length: int, width: int, at: int) -> None:
    node = 0
    for depth in range(length - 1):
        side = number >> (width - 1 - depth) & 1
        if nodes[node][side] is None:
            nodes.append([None, None])
            nodes[node][side] = ("node", len(nodes) - 1)
        node = nodes[node][side][1]
    nodes[node][number >> (width - length) & 1] = ("data", at)


def _node(left: Any, right: Any, count: int, bits: int) -> bytes:
    a, b = (_record(one, count) for one in (left, right))
    if bits == 28:
        middle = bytes([(a >> 24) << 4 | b >> 24])
        return (a & 0xFFFFFF).to_bytes(3) + middle + (b & 0xFFFFFF).to_bytes(3)
    return a.to_bytes(bits // 8) + b.to_bytes(bits // 8)


def _record(one: Any, count: int) -> int:
    if one is None:
        return count
    return one[1] if one[0] == "node" else count + 16 + one[1]
