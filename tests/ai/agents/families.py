"""Names as malware makes them, by the published generators' kinds, and the names that tunnels ask for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Final

WORDS: Final = (
    *("apple", "river", "stone", "cloud", "table", "light", "green", "house"),
    *("water", "paper", "glass", "train", "mount", "field", "bread", "chair"),
)


def _numbers(seed: int) -> Iterator[int]:
    """The linear congruential generator of the C standard's example, as many such programs use."""
    while True:
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        yield seed >> 8


def letters(count: int, seed: int = 7) -> list[str]:
    """8 to 11 letters, as Conficker's."""
    n = _numbers(seed)
    return ["".join(chr(97 + next(n) % 26) for _ in range(8 + next(n) % 4)) for _ in range(count)]


def longer(count: int, seed: int = 99) -> list[str]:
    """7 to 21 letters, as Necurs'."""
    n = _numbers(seed)
    return ["".join(chr(97 + next(n) % 25) for _ in range(7 + next(n) % 15)) for _ in range(count)]


def digits(count: int, seed: int = 5) -> list[str]:
    """12 to 15 letters and digits, as of several banking trojans."""
    n = _numbers(seed)
    return [
        "".join("abcdefghijklmnopqrstuvwxyz0123456789"[next(n) % 36] for _ in range(12 + next(n) % 4))
        for _ in range(count)
    ]


def hashes(count: int) -> list[str]:
    """MD5 of a date and a number, as Bamital's."""
    return [hashlib.md5(f"2027-01-01-{i}".encode()).hexdigest() for i in range(count)]


def words(count: int, seed: int = 4) -> list[str]:
    """Two words, as Suppobox': people choose such names, too."""
    n = _numbers(seed)
    return [WORDS[next(n) % 16] + WORDS[next(n) % 16] for _ in range(count)]


def tunnel(domain: str, count: int, *, style: str) -> list[str]:
    """What a tunnel asks for: `hex` as dnscat2, `base32` as dns2tcp and iodine's fallback."""
    names: list[str] = []
    for number in range(count):
        data = hashlib.sha512(f"{domain} {number}".encode()).digest()[:40]
        text = data.hex() if style == "hex" else base64.b32encode(data).decode().rstrip("=").lower()
        names.append(".".join([*(text[at : at + 60] for at in range(0, len(text), 60)), domain]))
    return names
