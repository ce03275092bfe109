"""Addresses as numbers, a column at a time: text to keys that sort as the addresses do.

An IPv4 key is a uint32, an IPv6 key its 16 bytes (numpy's `S16`, which compares as bytes do). What `ipaddress` writes
is parsed by array operations at some millions a second; whatever else is in a column is left to `ipaddress` itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spectra.intel.feeds.errors import FeedError

Places = npt.NDArray[np.intp]
Keys4 = npt.NDArray[np.uint32]
Keys6 = npt.NDArray[np.bytes_]
Lengths = npt.NDArray[np.uint8]
Bytes = npt.NDArray[np.uint8]

_DOT: Final = ord(".")
_COLON: Final = ord(":")
_END: Final = ord("\n")
# The digit that a byte is in base 16, 255 for what is none.
_DIGITS: Final = np.full(256, 255, np.uint8)
for _digit, _letters in enumerate(
    ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "aA", "bB", "cC", "dD", "eE", "fF")
):
    for _letter in _letters:
        _DIGITS[ord(_letter)] = _digit


class Column(NamedTuple):
    """The addresses of a column of texts: positions in it and keys. Positions in neither hold no address."""

    at4: Places
    keys4: Keys4
    at6: Places
    keys6: Keys6


class Networks(NamedTuple):
    """The networks of a column, as `Column`, with their prefix lengths (0..32, 0..128)."""

    at4: Places
    keys4: Keys4
    lengths4: Lengths
    at6: Places
    keys6: Keys6
    lengths6: Lengths


Bad = Callable[[int, str], FeedError]
"""Makes the error for a position of a column, given what is wrong there."""


def column(texts: Sequence[str]) -> Column:
    """The addresses in `texts`."""
    six = [i for i, text in enumerate(texts) if ":" in text]
    if not six:
        at4, keys4 = _column4(texts)
        return Column(at4, keys4, np.empty(0, np.intp), np.empty(0, "S16"))
    sixth = set(six)
    four = [i for i in range(len(texts)) if i not in sixth]
    at4, keys4 = _column4([texts[i] for i in four])
    at6, keys6 = _column6([texts[i] for i in six])
    return Column(np.array(four, np.intp)[at4], keys4, np.array(six, np.intp)[at6], keys6)


def networks(texts: Sequence[str], bad: Bad) -> Networks:
    """The networks in `texts`, such as `192.0.2.0/24`; an address alone is one too. Raises what `bad` makes."""
    split = [text.partition("/") for text in texts]
    found = column([part[0] for part in split])
    if len(found.at4) + len(found.at6) != len(texts):
        known = set(found.at4.tolist()) | set(found.at6.tolist())
        row = next(i for i in range(len(texts)) if i not in known)
        raise bad(row, f"{texts[row][:60]!r} is no network")
    given = [slash + length for _, slash, length in split]
    lengths4 = _lengths(texts, given, found.at4, 32, bad)
    lengths6 = _lengths(texts, given, found.at6, 128, bad)
    _no_host_bits(texts, found, lengths4, lengths6, bad)
    return Networks(found.at4, found.keys4, lengths4, found.at6, found.keys6, lengths6)


def _lengths(texts: Sequence[str], given: Sequence[str], at: Places, most: int, bad: Bad) -> Lengths:
    known = {f"/{n}": n for n in range(most + 1)} | {"": most}
    rows: list[int] = at.tolist()
    values = [known.get(given[row], -1) for row in rows]
    if -1 in values:
        row = rows[values.index(-1)]
        raise bad(row, f"{texts[row][:60]!r} has no prefix length that fits its address")
    return np.array(values, np.uint8)


def _no_host_bits(texts: Sequence[str], found: Column, lengths4: Lengths, lengths6: Lengths, bad: Bad) -> None:
    wrong4 = np.flatnonzero(found.keys4.astype(np.uint64) % (np.uint64(1) << (np.uint64(32) - lengths4)))
    wrong6 = np.flatnonzero(first6(found.keys6, lengths6) != found.keys6)
    for at, wrong in ((found.at4, wrong4), (found.at6, wrong6)):
        if len(wrong):
            row = int(at[wrong[0]])
            raise bad(row, f"{texts[row][:60]!r} has bits set beyond its prefix length")


def _column4(texts: Sequence[str]) -> tuple[Places, Keys4]:
    fast = _fast4(texts)
    if fast is not None:
        return np.arange(len(texts), dtype=np.intp), fast
    at: list[int] = []
    keys: list[int] = []
    for i, text in enumerate(texts):
        try:
            keys.append(int(ipaddress.IPv4Address(text)))
        except ValueError:
            continue
        at.append(i)
    return np.array(at, np.intp), np.array(keys, np.uint32)


def _fast4(texts: Sequence[str]) -> Keys4 | None:
    """The keys if every text is a dotted quad without leading zeros, else None."""
    split = _split(texts, _DOT)
    if split is None or len(split.ends) != 4 * len(texts):
        return None
    data, ends, lengths = split
    if not (data[ends].reshape(-1, 4) == (_DOT, _DOT, _DOT, _END)).all():
        return None
    if not ((lengths >= 1) & (lengths <= 3)).all():
        return None
    values = np.zeros(len(ends), np.uint32)
    for place, factor in enumerate((1, 10, 100)):
        here = lengths > place
        digits = _DIGITS[data[ends[here] - 1 - place]]
        if (digits > 9).any():
            return None
        values[here] += digits * np.uint32(factor)
    leading = (lengths > 1) & (data[ends - lengths] == ord("0"))
    if (values > 255).any() or leading.any():
        return None
    return values.astype(np.uint8).view(">u4").astype(np.uint32)


class _Split(NamedTuple):
    data: Bytes
    ends: Places  # where each token ends: the position of the separator after it
    lengths: Places


def _split(texts: Sequence[str], separator: int) -> _Split | None:
    """Texts to tokens, the last of each text ended by a line end; None where a text is not ASCII or several lines."""
    if not texts:
        return _Split(np.empty(0, np.uint8), np.empty(0, np.intp), np.empty(0, np.intp))
    joined = "\n".join(texts)
    if not joined.isascii():
        return None
    data = np.frombuffer(joined.encode() + b"\n", np.uint8)
    lines = data == _END
    if int(np.count_nonzero(lines)) != len(texts):
        return None
    ends = np.flatnonzero(lines | (data == separator))
    return _Split(data, ends, np.diff(ends, prepend=-1) - 1)


def _column6(texts: Sequence[str]) -> tuple[Places, Keys6]:
    fast = _fast6(texts)
    if fast is not None:
        return np.arange(len(texts), dtype=np.intp), fast
    at: list[int] = []
    keys: list[bytes] = []
    for i, text in enumerate(texts):
        try:
            keys.append(ipaddress.IPv6Address(text).packed if "%" not in text else _unscoped())
        except ValueError:
            continue
        at.append(i)
    return np.array(at, np.intp), np.frombuffer(b"".join(keys), "S16")


def _unscoped() -> bytes:
    raise ValueError("an address with a scope is one of this machine alone")


def _fast6(texts: Sequence[str]) -> Keys6 | None:
    """The keys if every text is groups of hexadecimal digits with at most one `::`, else None."""
    # With a zero at the ends, `::` is one empty token wherever it stands.
    whole = [f"{'0' if t[:2] == '::' else ''}{t}{'0' if t[-2:] == '::' else ''}" for t in texts]
    split = _split(whole, _COLON)
    if split is None:
        return None
    data, ends, lengths = split
    if not len(ends) or int(lengths.max()) > 4:
        return None
    last = np.flatnonzero(data[ends] == _END)
    first = np.concatenate((np.zeros(1, np.intp), last[:-1] + 1))
    slots = _slots(lengths, first, last)
    if slots is None:
        return None
    values = np.zeros(len(ends), np.uint16)
    for place in range(4):
        here = lengths > place
        digits = _DIGITS[data[ends[here] - 1 - place]]
        if (digits == 255).any():
            return None
        values[here] |= digits.astype(np.uint16) << np.uint16(4 * place)
    groups = np.zeros(8 * len(texts), np.uint16)
    groups[slots] |= values  # the empty token is a zero group
    return groups.astype(">u2").view("S16")


def _slots(lengths: Places, first: Places, last: Places) -> Places | None:
    """Which of the eight groups of its line each token is; None where a line has too few or too many."""
    counts = last - first + 1
    line = np.repeat(np.arange(len(first)), counts)
    empty = lengths == 0
    gaps = np.bincount(line[empty], minlength=len(first))
    if (gaps > 1).any() or (counts > 8).any() or ((gaps == 0) & (counts != 8)).any():
        return None
    inside = np.arange(len(lengths)) - first[line]
    gap = np.full(len(first), 8)
    gap[line[empty]] = inside[empty]
    moved = np.where(inside > gap[line], 8 - counts[line], 0)
    return 8 * line + inside + moved


def words6(keys: Keys6) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The upper and lower 64 bits of IPv6 keys."""
    halves = np.ascontiguousarray(keys).view(">u8").reshape(-1, 2).astype(np.uint64)
    return halves[:, 0], halves[:, 1]


def keys6(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> Keys6:
    """IPv6 keys of their upper and lower 64 bits."""
    return np.ascontiguousarray(np.stack((high, low), axis=1).astype(">u8")).view("S16").ravel()


def _masks6(lengths: Lengths) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The host bits of IPv6 networks, upper and lower 64."""
    full = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
    wide = lengths.astype(np.uint64)
    upper, lower = np.minimum(wide, 64), np.maximum(wide, 64) - np.uint64(64)
    # Shifting by 64 is undefined, so in two steps.
    return _shifted(full, upper), _shifted(full, lower)


def _shifted(full: np.uint64, by: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    half = by // np.uint64(2)
    return (full >> half) >> (by - half)


def first6(keys: Keys6, lengths: Lengths) -> Keys6:
    """The first addresses of the networks that hold `keys`."""
    high, low = words6(keys)
    mask_high, mask_low = _masks6(lengths)
    return keys6(high & ~mask_high, low & ~mask_low)


def after6(keys: Keys6, lengths: Lengths) -> tuple[Keys6, npt.NDArray[np.bool_]]:
    """The first address behind each network, and where there is none: the network reaches the end of all addresses."""
    high, low = words6(keys)
    mask_high, mask_low = _masks6(lengths)
    high, low = high | mask_high, low | mask_low
    carry = low == np.uint64(0xFFFF_FFFF_FFFF_FFFF)
    over = carry & (high == np.uint64(0xFFFF_FFFF_FFFF_FFFF))
    one = np.uint64(1)
    return keys6(np.where(carry, high + one, high), low + one), over


_MAPPED: Final = np.uint64(0xFFFF)
_TEREDO: Final = np.uint64(0x2001_0000)
_SIX_TO_FOUR: Final = np.uint64(0x2002)


def folded(found: Column) -> Column:
    """`found` with every IPv6 address that stands for an IPv4 address as that one, as MaxMind's trees alias them.

    `::a.b.c.d` and `::ffff:a.b.c.d` (RFC 4291), 6to4 (RFC 3056) by the address in it, Teredo (RFC 4380) by its server.
    """
    if not len(found.at6):
        return found
    high, low = words6(found.keys6)
    flat = (high == 0) & ((low >> np.uint64(32) == 0) | (low >> np.uint64(32) == _MAPPED))
    relay = high >> np.uint64(48) == _SIX_TO_FOUR
    teredo = high >> np.uint64(32) == _TEREDO
    inner = np.where(relay, high >> np.uint64(16), np.where(teredo, high, low)) & np.uint64(0xFFFF_FFFF)
    holds = flat | relay | teredo
    return Column(
        np.concatenate((found.at4, found.at6[holds])),
        np.concatenate((found.keys4, inner[holds].astype(np.uint32))),
        found.at6[~holds],
        found.keys6[~holds],
    )
