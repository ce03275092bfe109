"""Names in place of private values: the same for the same value of an account, and with the structure of it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from spectra.ai.privacy.addresses import around, read_address, read_network
from spectra.ai.privacy.matching import Edge
from spectra.ai.privacy.spaces import Keyed, Space
from spectra.ai.privacy.spelling import Names, distinctive, first_label, halves, owner, parents, steps
from spectra.model.ai import Kind, Private

_SPELLINGS: Final = 64
_SOLID: Final = 8  # characters of a secret that is one wherever it stands
_NAMED: Final = (Kind.USER, Kind.HOSTNAME)


class Pseudonyms:
    """Those of `account` on the node that keeps `secret`. One instance for one prompt; not thread-safe.

    The same value has the same pseudonym in every instance, unless two values of a prompt would have the same one, or
    a network is told of that is wider than a /24 (IPv6: a /48): what lies in it is named by it.
    """

    def __init__(self, secret: bytes, account: str) -> None:
        keyed = Keyed(hmac.digest(secret, account.encode("utf-8", "surrogatepass"), hashlib.sha256))
        self._spaces = {version: Space(keyed, version) for version in (4, 6)}
        self._names = Names(keyed)
        self._made: dict[tuple[Kind, str], str] = {}
        self._known: dict[str, str] = {}

    @property
    def known(self) -> Mapping[str, str]:
        """Pseudonym to what it stands for, all that were given so far."""
        return MappingProxyType(self._known)

    def reserve(self, privates: Iterable[Private]) -> None:
        """See to it that none of these becomes a pseudonym of another."""
        for kind, value in privates:
            if kind in (Kind.ADDRESS, Kind.NETWORK):
                network = read_network(value) if kind is Kind.NETWORK else None
                address = network.address if network else read_address(value)
                if address:
                    self._spaces[address.version].reserve(address.number)
            else:
                self._names.reserve(value)

    def of(self, private: Private) -> str:
        """What stands for `private`: deterministic but where two values would have the same one."""
        kind, value = private
        known = self._made.get((kind, value))
        if known is None and value:
            known = self._made[kind, value] = self._unique(self._drawn(kind, value), kind, value)
        return known or ""

    def solid(self, private: Private) -> str:
        """One that keeps no structure, but is found whatever stands beside it."""
        token = self._names.token(f"{private.kind.upper()}_", f"solid{private.kind}", private.value, 8)
        return self._unique(token, private.kind, private.value)

    def implied(self, private: Private) -> list[Private]:
        """What of `private` is private by itself: the domain of a host, the network of an address, the user of a path.

        What everybody has is left out.
        """
        return [
            one
            for one in _implied(private)
            if one.value != private.value and (one.kind not in _NAMED or distinctive(one.value))
        ]

    def _drawn(self, kind: Kind, value: str) -> str:
        match kind:
            case Kind.ADDRESS:
                made = self._address(value)
            case Kind.NETWORK:
                made = self._network(value) or self._address(value)
            case Kind.MAC:
                made = self._names.mac(value)
            case Kind.HOSTNAME:
                made = self._names.host(value)
            case Kind.EMAIL:
                made = self._names.email(value)
            case Kind.USER:
                made = self._names.user(value)
            case Kind.PATH:
                made = self._names.path(value)
            case _:
                made = None
        return made or self._names.token(f"{kind.upper()}_", kind, value, 8)

    def _address(self, value: str) -> str | None:
        found = read_address(value)
        return found.render(self._spaces[found.version].address(found.number)) if found else None

    def _network(self, value: str) -> str | None:
        found = read_network(value)
        if not found:
            return None
        space, bits = self._spaces[found.address.version], 32 if found.address.version == 4 else 128
        base = space.network(found.address.number, found.length)
        if base is None:
            return None
        within = found.address.number & ((1 << (bits - found.length)) - 1)
        return found.render(space.address(found.address.number) if within else base)

    def _unique(self, made: str, kind: Kind, value: str) -> str:
        """`made`, or another spelling of it where it stands for another spelling of the same value."""
        if made != value and self._known.setdefault(made, value) == value:
            return made
        letters = [place for place in range(len(made) - 1, -1, -1) if made[place].isalpha()][:6]
        for turn in range(_SPELLINGS):
            tried = list(made)
            for bit, place in enumerate(letters):
                if turn >> bit & 1:
                    tried[place] = tried[place].swapcase()
            spelled = "".join(tried)
            if spelled != value and self._known.setdefault(spelled, value) == value:
                return spelled
        token = self._names.token(f"{kind.upper()}_", f"spelled{kind}", value, 12)
        self._known[token] = value
        return token


@lru_cache(maxsize=4096)
def edge_of(private: Private) -> Edge:
    """What may not stand beside the value for it to be this value; the same holds for its pseudonym."""
    kind, value = private
    if kind in (Kind.ADDRESS, Kind.NETWORK):
        return Edge.HEX if ":" in value or "x" in value.lower() or "%" in value else Edge.DIGIT
    if kind is Kind.MAC:
        return Edge.HEX
    return Edge.SOLID if kind in (Kind.SECRET, Kind.ID) and len(value) >= _SOLID else Edge.NAME


def elsewhere(private: Private) -> bool:
    """Whether the value, standing in other words, is taken out of them."""
    kind, value = private
    return len(value) > 2 and (distinctive(value) if kind in _NAMED or value.isdecimal() else True)


def _implied(private: Private) -> list[Private]:
    kind, value = private
    if kind is Kind.HOSTNAME:
        first = first_label(value)
        return [Private(kind, above) for above in parents(value)] + ([Private(kind, first)] if first else [])
    if kind is Kind.EMAIL:
        user, host = halves(value)
        return [Private(Kind.USER, user), Private(Kind.HOSTNAME, host), *_implied(Private(Kind.HOSTNAME, host))]
    if kind is Kind.USER and ("\\" in value or "/" in value):
        *domain, name = steps(value) or [""]
        return [Private(Kind.USER, name), *(Private(Kind.HOSTNAME, part) for part in domain)]
    if kind is Kind.PATH:
        return [Private(Kind.USER, name)] if (name := owner(value)) else []
    found = read_address(value) if kind is Kind.ADDRESS else None
    return [Private(Kind.NETWORK, around(found))] if found else []
