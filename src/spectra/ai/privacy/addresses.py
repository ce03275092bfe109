"""Addresses and networks in the ways people and programs write them: what they are, and others written alike."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote

_PLAIN: Final = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})", re.ASCII)
_OCTET: Final = r"(?:0x[0-9a-f]{1,2}|\d{1,4})"
_DOT: Final = r"(?:\.|\s?\[\.\]\s?|\s?\(\.\)\s?|\s?\[dot\]\s?|\s?\(dot\)\s?|%2e|\\\.|\s?\{\.\}\s?|[-_])"
_QUAD: Final = re.compile(
    rf"({_OCTET})({_DOT})({_OCTET})({_DOT})({_OCTET})({_DOT})({_OCTET})", re.ASCII | re.IGNORECASE
)
_NUMBER: Final = re.compile(r"\d{7,10}|0x[0-9a-f]{7,8}", re.ASCII | re.IGNORECASE)
_WILD: Final = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,2})((?:\.[*xX])+)", re.ASCII)
_MAPPED: Final = ((0xFFFF, "::ffff:"), (0x64_FF9B << 64, "64:ff9b::"))  # RFC 4291 2.5.5.2, RFC 6052
_LOW32: Final = (1 << 32) - 1
_ZONE: Final = re.compile(r"(%(?:25)?)(.+)$")
_GENERIC_ZONE: Final = re.compile(
    r"(?:eth|en|ens|enp|eno|wlan|wlp|lo|tun|tap|wg|br|bond|docker|veth|ppp|igb|em|re|vmx|utun|awdl)?[0-9s.f]*"
)

Render = Callable[[int], str]


class Address(NamedTuple):
    """`number` of version 4 or 6; `render` writes another one of this version alike."""

    version: int
    number: int
    render: Render


class Network(NamedTuple):
    """A network; `address` keeps the bits below its `length` where they were written, else they are 0."""

    address: Address
    length: int
    render: Render
    """Writes the network whose address is the number."""


@lru_cache(maxsize=4096)
def read_address(text: str) -> Address | None:
    """What `text` is, if it is an address."""
    if plain := _PLAIN.fullmatch(text):
        octets = [int(part) for part in plain.groups()]
        number = int.from_bytes(bytes(octets), "big") if max(octets) < 256 else None
        return Address(4, number, dotted) if number is not None and dotted(number) == text else _quad(text)
    if ":" in text or "%3a" in text.lower():
        return _v6(text)
    if _NUMBER.fullmatch(text):
        number = int(text, 0) if text[1] in "xX" else int(text)
        return Address(4, number, hex if text[1] in "xX" else str) if number <= _LOW32 else None
    if "%3" in text and (inner := unquote(text)) != text and "%" not in inner:
        found = read_address(inner)
        return Address(found.version, found.number, _coded(found.render)) if found else None
    return _quad(text)


def _coded(render: Render) -> Render:
    """All characters as percent escapes."""
    return lambda number: "".join(f"%{ord(c):02X}" for c in render(number))


def dotted(number: int) -> str:
    """An IPv4 address as usual."""
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def around(address: Address) -> str:
    """The /24 or /64 that an address lies in."""
    if address.version == 4:
        return f"{dotted(address.number & ~0xFF)}/24"
    return f"{ipaddress.IPv6Address(address.number >> 64 << 64)}/64"


def _quad(text: str) -> Address | None:
    found = _QUAD.fullmatch(text)
    if not found:
        return None
    parts, dots = found.groups()[::2], found.groups()[1::2]
    octal = all(p.startswith("0") and p.isdigit() and not set(p) & set("89") for p in parts) and any(
        len(p) == 4 for p in parts
    )
    octets = [int(p, 16) if p[1:2] in "xX" and len(p) > 1 else int(p, 8 if octal else 10) for p in parts]
    if max(octets) > 255:
        return None

    def render(number: int) -> str:
        made = [_octet(number >> shift & 255, part, octal) for shift, part in zip((24, 16, 8, 0), parts, strict=True)]
        return "".join(piece for pair in zip(made, (*dots, ""), strict=True) for piece in pair)

    return Address(4, int.from_bytes(bytes(octets), "big"), render)


def _octet(value: int, like: str, octal: bool) -> str:
    if like[1:2] in ("x", "X"):
        return f"{like[:2]}{value:02x}"
    if octal:
        return f"0{value:o}".rjust(len(like), "0")
    return f"{value:0{len(like)}d}" if like.startswith("0") else str(value)


def _v6(text: str) -> Address | None:
    coded = "%3a" in text.lower()
    plain = unquote(text) if coded else text
    zone = ""
    if found := _ZONE.search(plain):
        plain = plain[: found.start()]
        kept = found[2] if _GENERIC_ZONE.fullmatch(found[2].lower()) else "zone"
        zone = found[1] + kept
    try:
        number = int(ipaddress.IPv6Address(plain))
    except ValueError:
        return None
    upper = plain.isupper()
    for prefix, words in _MAPPED:
        if number >> 32 == prefix:
            return Address(4, number & _LOW32, _inside(words, "." in plain, upper, coded, zone))
    long = "::" not in plain and all(len(group) == 4 for group in plain.split(":"))

    def render(number: int) -> str:
        address = ipaddress.IPv6Address(number)
        return _styled(address.exploded if long else address.compressed, upper, coded, zone)

    return Address(6, number, render)


def _inside(words: str, dots: bool, upper: bool, coded: bool, zone: str) -> Render:
    def render(number: int) -> str:
        low = dotted(number) if dots else f"{number >> 16:x}:{number & 0xFFFF:x}"
        return _styled(words + low, upper, coded, zone)

    return render


def _styled(text: str, upper: bool, coded: bool, zone: str) -> str:
    text = (text.upper() if upper else text) + zone
    return text.replace(":", "%3A") if coded else text


@lru_cache(maxsize=2048)
def read_network(text: str) -> Network | None:
    """What `text` is, if it is a network: `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.*.*`."""
    if wild := _WILD.fullmatch(text):
        return _wild(wild[1].split("."), wild[2])
    head, slash, tail = text.rpartition("/")
    if not slash:
        head, slash, tail = text.lower().rpartition("%2f")
        head, slash = text[: len(head)], text[len(head) : len(head) + len(slash)]
    address = read_address(head)
    if not slash or address is None:
        return None
    bits = 32 if address.version == 4 else 128
    length = int(tail) if tail.isdecimal() and len(tail) <= 3 else _masked(tail)
    if length is not None and bits == 32 and ":" in head:
        length -= 96  # an IPv4 network within IPv6
    if length is None or not 0 <= length <= bits:
        return None

    def render(number: int) -> str:
        return f"{address.render(number)}{slash}{tail}"

    return Network(address, length, render)


def _masked(text: str) -> int | None:
    try:
        return ipaddress.IPv4Network(f"0.0.0.0/{text}").prefixlen
    except ValueError:
        return None


def _wild(parts: list[str], stars: str) -> Network | None:
    if len(parts) + stars.count(".") != 4 or max(map(int, parts)) > 255:
        return None
    count = len(parts)
    number = int.from_bytes(bytes([*map(int, parts), *[0] * (4 - count)]), "big")
    address = Address(4, number, dotted)

    def render(number: int) -> str:
        return ".".join(dotted(number).split(".")[:count]) + stars

    return Network(address, 8 * count, render)
