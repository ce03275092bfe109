"""Which ports to look at: `22,80,8000-8100,U:53`, `top100`, `top1000`, `all`; kept as compact inclusive ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from spectra.collect.known_ports import COMMON
from spectra.collect.netset import Intervals, merge
from spectra.errors import BadRequest

LAST = 65535
MAX_TEXT = 16 * 1024


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP and UDP ports as sorted, disjoint, inclusive ranges."""

    tcp: Intervals = ()
    udp: Intervals = ()

    def numbers(self, protocol: Literal["tcp", "udp"] = "tcp") -> Iterator[int]:
        """Every port of the protocol in ascending order."""
        for low, top in self.tcp if protocol == "tcp" else self.udp:
            yield from range(low, top + 1)

    def count(self, protocol: Literal["tcp", "udp"] = "tcp") -> int:
        """How many ports of the protocol."""
        return sum(top - low + 1 for low, top in (self.tcp if protocol == "tcp" else self.udp))

    def __str__(self) -> str:
        """The text form, readable by `parse_ports`: `22,80,8000-8100,U:53`."""
        parts = [brief(self.tcp)] if self.tcp else []
        return ",".join([*parts, f"U:{brief(self.udp)}"] if self.udp else parts)


def brief(ranges: Intervals) -> str:
    """Intervals as text: `22,80,8000-8100`."""
    return ",".join(str(low) if low == top else f"{low}-{top}" for low, top in ranges)


def compact(ports: Iterable[int]) -> Intervals:
    """Single ports as the fewest ranges."""
    return merge((port, port) for port in ports)


def parse_ports(text: str) -> Ports:
    """Read a port list; raises `BadRequest` with `field="ports"` and the column of the wrong word.

    `T:` and `U:` hold for what follows until the next of them, as in nmap; without one a port is TCP. `top100` and
    `top1000` are our own lists of common TCP ports; `all` or `-` is 1-65535; `-1024` and `60000-` are open ranges.
    """
    if len(text) > MAX_TEXT:
        raise _bad("the port list is too long", 1)
    ranges: dict[str, list[tuple[int, int]]] = {"T": [], "U": []}
    protocol, column = "T", 1
    for part in text.split(","):
        word = part.strip()
        if word[1:2] == ":" and word[0].upper() in ranges:
            protocol, word = word[0].upper(), word[2:].strip()
        ranges[protocol] += _read(word, protocol, column + len(part) - len(part.lstrip()))
        column += len(part) + 1
    return Ports(merge(ranges["T"]), merge(ranges["U"]))


def _read(word: str, protocol: str, column: int) -> Intervals:
    lowered = word.lower()
    if lowered in {"all", "-"}:
        return ((1, LAST),)
    if lowered in {"top100", "top1000"}:
        if protocol == "U":
            raise _bad(f"{word} is a list of TCP ports", column)
        return compact(COMMON[: int(lowered[3:])])
    first, dash, last = word.partition("-")
    low, top = first.strip() or "1", (last.strip() or str(LAST)) if dash else first.strip()
    if not word or not (_decimal(low) and _decimal(top)):
        raise _bad(f"{word[:40]!r} is not a port, range, top100, top1000 or all", column)
    if not 1 <= int(low) <= int(top) <= LAST:
        raise _bad(f"{word!r} is not within 1-{LAST}, the lower port first", column)
    return ((int(low), int(top)),)


def _decimal(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5


def _bad(message: str, column: int) -> BadRequest:
    return BadRequest(f"ports, column {column}: {message}", reason="bad_ports", field="ports", column=column)
