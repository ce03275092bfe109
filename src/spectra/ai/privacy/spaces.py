"""Addresses in place of addresses: as many bits in common as the real ones have, below the networks that are known.

IPv4 becomes addresses of 198.18.0.0/15 (RFC 2544), a /24 of it for each real one; networks shorter than /16, and what
finds no place there, go to 240.0.0.0/4, which nobody routes. IPv6 becomes 2001:db8::/32 (RFC 3849), a /48 for each real
one; networks shorter than /48 go to 3fff::/20 (RFC 9637). What lies in a network that was told before lies in its
pseudonym. Bits below are mixed by a keyed tree, which keeps common prefixes as Crypto-PAn does (Xu et al., 2002).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

_V4: Final = 198 << 24 | 18 << 16, 15
_V4_WIDE: Final = 240 << 24, 4
_V6: Final = 0x2001_0DB8 << 96, 32
_V6_WIDE: Final = 0x3FFF << 112, 20
_TRIES: Final = 4096


class Keyed:
    """Numbers drawn from a key: nobody without it can tell what they were drawn from."""

    def __init__(self, key: bytes) -> None:
        self._key = key[:64]

    def bytes(self, what: str, value: bytes, size: int) -> bytes:
        """`size` bytes (at most 64) for `value`, others for another `what`."""
        return blake2b(value, key=self._key, digest_size=size, person=what.encode()[:16]).digest()

    def number(self, what: str, value: bytes, below: int) -> int:
        """A number less than `below`."""
        return int.from_bytes(self.bytes(what, value, 16), "big") % below


class _Root(NamedTuple):
    """A real network, and the one in its place; both as addresses."""

    real: int
    made: int
    length: int


class Space:
    """The addresses of one version."""

    def __init__(self, keyed: Keyed, version: int) -> None:
        self._keyed = keyed
        self._version = version
        self._bits = 32 if version == 4 else 128
        self._usual = 24 if version == 4 else 48
        self._roots: dict[tuple[int, int], _Root] = {}
        self._lengths: list[int] = []
        self._blocks: dict[int, set[int]] = {}
        self._hosts: dict[int, int] = {}
        self._taken: set[int] = set()
        self._deep: dict[tuple[int, int], int] = {}

    def reserve(self, number: int) -> None:
        """A real address: nothing may be called so, nor anything of its network."""
        top, length = _V4 if self._version == 4 else _V6
        wide, wide_length = _V4_WIDE if self._version == 4 else _V6_WIDE
        if self._cut(number, length) == top or self._cut(number, wide_length) == wide:
            self._blocks.setdefault(self._usual, set()).add(number >> (self._bits - self._usual))
        self._taken.add(number)

    def address(self, number: int) -> int:
        """What stands for the address `number`."""
        known = self._hosts.get(number)
        if known is None:
            known = self._hosts[number] = self._address(number)
            self._taken.add(known)
        return known

    def network(self, number: int, length: int) -> int | None:
        """The address of the network in place of one; None where there is no room for any: it is as good as all."""
        number = self._cut(number, length)
        if self._version == 6 and length > 64:
            return self._within(number, length)
        if length < self._usual and self._root_of(number, length) is None and not self._make_root(number, length):
            return None
        return self._cut(self._mixed(number, self._bits if self._version == 4 else 64), length)

    def _address(self, number: int) -> int:
        if self._version == 4:
            return self._mixed(number, 32)
        for length in sorted((deep for deep, _ in self._deep), reverse=True):
            if (made := self._deep.get((length, self._cut(number, length)))) is not None:
                return self._free(made, number, length)
        return self._free(self._mixed(self._cut(number, 64), 64), number, 64, 32)

    def _within(self, number: int, length: int) -> int:
        """A network below a /64."""
        known = self._deep.get((length, number))
        if known is None:
            upper = self._mixed(self._cut(number, 64), 64)
            drawn = self._keyed.number("deep6", number.to_bytes(16, "big") + bytes([length]), 1 << 64)
            known = self._deep[length, number] = self._cut(upper | drawn, length)
        return known

    def _free(self, made: int, number: int, length: int, most: int = 64) -> int:
        """A free address in the network `made`, for `number`."""
        room = 1 << min(128 - length, most)
        low = self._keyed.number("host6", number.to_bytes(16, "big"), room)
        for step in range(_TRIES):
            found = made | (low + step) % room
            if found not in self._taken:
                return found
        return made | low

    def _mixed(self, number: int, until: int) -> int:
        """`number` with its root exchanged, and the bits from there `until` (a multiple of 8) mixed."""
        root = self._root_of(number, self._bits) or self._usual_root(number)
        size = self._bits // 8
        real, made = number.to_bytes(size, "big"), bytearray(root.made.to_bytes(size, "big"))
        for place in range(root.length // 8, until // 8):
            tree = self._keyed.bytes(f"tree{self._version}", real[:place] + bytes([root.length]), 32)
            skip = max(0, root.length - 8 * place)
            made[place] |= _mix(real[place], tree, skip)
        return int.from_bytes(made, "big")

    def _cut(self, number: int, length: int) -> int:
        shift = self._bits - length
        return number >> shift << shift

    def _root_of(self, number: int, most: int) -> _Root | None:
        """The widest known network around `number`, not longer than `most`."""
        for length in self._lengths:
            if length <= most and (found := self._roots.get((length, number >> (self._bits - length)))):
                return found
        return None

    def _usual_root(self, number: int) -> _Root:
        cut = self._cut(number, self._usual)
        place = self._place(cut, self._usual, *(_V4 if self._version == 4 else _V6))
        if place is None and self._version == 4:
            place = self._place(cut, self._usual, *_V4_WIDE)
        if place is None:
            place = self._keyed.number("full", cut.to_bytes(16, "big"), 1 << 16) << (self._bits - self._usual)
            place |= (_V4_WIDE if self._version == 4 else _V6)[0]
        return self._keep(_Root(cut, place, self._usual))

    def _make_root(self, number: int, length: int) -> bool:
        top = (_V4 if length >= 16 else _V4_WIDE) if self._version == 4 else _V6_WIDE
        place = self._place(number, length, *top) if length > top[1] else None
        if place is None and self._version == 4 and length > _V4_WIDE[1]:
            place = self._place(number, length, *_V4_WIDE)
        if place is None:
            return False
        self._keep(_Root(number, place, length))
        return True

    def _keep(self, root: _Root) -> _Root:
        self._roots[root.length, root.real >> (self._bits - root.length)] = root
        if root.length not in self._lengths:
            self._lengths = sorted([*self._lengths, root.length])
        self._blocks.setdefault(root.length, set()).add(root.made >> (self._bits - root.length))
        return root

    def _place(self, number: int, length: int, top: int, above: int) -> int | None:
        """A free network of `length` in `top`: where the key says, or the next one that is free."""
        room = 1 << (length - above)
        first = self._keyed.number(f"net{self._version}", number.to_bytes(16, "big") + bytes([length]), room)
        for step in range(min(room, _TRIES)):
            block = (top >> (self._bits - length)) + (first + step) % room
            if not self._occupied(block, length):
                return block << (self._bits - length)
        return None

    def _occupied(self, block: int, length: int) -> bool:
        for other, blocks in self._blocks.items():
            if other <= length:
                if block >> (length - other) in blocks:
                    return True
            elif any(one >> (other - length) == block for one in blocks):
                return True
        return False


def _mix(byte: int, tree: bytes, skip: int) -> int:
    """`byte` with each bit but the first `skip` turned as the bits before it say; those `skip` are 0."""
    made = 0
    for bit in range(8):
        node = (1 << bit | byte >> (8 - bit)) if bit else 1
        turned = (byte >> (7 - bit) & 1) ^ (tree[node >> 3] >> (node & 7) & 1)
        made = made << 1 | (turned if bit >= skip else 0)
    return made
