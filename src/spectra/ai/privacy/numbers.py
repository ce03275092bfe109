"""Addresses, networks and hardware addresses in a text, by their form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Final

from spectra.ai.privacy.addresses import Address, read_address, read_network
from spectra.ai.privacy.span import Span
from spectra.ai.privacy.spelling import words
from spectra.model.ai import Kind

# Patterns begin with characters, not with what stands before: only then is most of a text skipped at once.
_QUADS: Final = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){3}((?:\.[0-9]+)*)")
_HEX_QUADS: Final = re.compile(r"0[xX][0-9A-Fa-f]{1,2}(?:\.(?:0[xX][0-9A-Fa-f]{1,2}|[0-9]{1,4})){3}(?![0-9A-Za-z])")
_ODD_DOT: Final = r"(?:\.|\s?\[\.\]\s?|\s?\(\.\)\s?|\s?\{\.\}\s?|\s?\[dot\]\s?|\s?\(dot\)\s?|%2[eE]|\\\.)"
_ODD: Final = re.compile(rf"[0-9]{{1,3}}(?:{_ODD_DOT}[0-9]{{1,3}}){{3}}(?![0-9])", re.IGNORECASE)
_ODD_SIGNS: Final = ("[.]", "(.)", "{.}", "[dot]", "(dot)", "%2e", "\\.")
_QUOTED: Final = re.compile(r"(?:%3[0-9]|%2[eE]){7,15}")
_DASHED: Final = re.compile(r"[0-9]{1,3}([-_])[0-9]{1,3}\1[0-9]{1,3}\1[0-9]{1,3}(?![0-9-])")
_LENGTH: Final = re.compile(r"(?:/|%2[fF])(?:\d{1,2}(?![0-9.])|255(?:\.\d{1,3}){3}(?![0-9]))", re.ASCII)
_LENGTH6: Final = re.compile(r"(?:/|%2[fF])\d{1,3}(?![0-9])", re.ASCII)
_WILD: Final = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){0,2}(?:\.[*xX]){1,3}(?![\w*])", re.ASCII)
_WHOLE: Final = re.compile(r"(?://|[:=] ?['\"]?)([0-9]{8,10}|0[xX][0-9A-Fa-f]{8})(?![0-9A-Za-z_.])")
_WHOSE: Final = re.compile(
    r"(?:/|(?:host|address|addr|ip|target|source|dest\w*|src|dst)['\"]?\s?[:=]\s?['\"]?)$", re.IGNORECASE
)
_COLONS: Final = re.compile(r"[0-9A-Fa-f:]{3,}+(?:%(?:25)?[A-Za-z][\w.-]*)?", re.ASCII)
_CODED: Final = re.compile(
    r"(?:(?<=%[0-9A-Fa-f]{2})|(?<![0-9A-Fa-f%]))[0-9A-Fa-f]{0,4}(?:%3[aA][0-9A-Fa-f]{0,4}){2,8}(?![0-9A-Fa-f])"
)
_MAC: Final = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f])")
_DASH_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}([-_])(?:[0-9A-Fa-f]{2}\1){4,6}[0-9A-Fa-f]{2}(?![0-9A-Fa-f-])")
_DOT_MAC: Final = re.compile(r"[0-9A-Fa-f]{4}([.-])[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}(?![0-9A-Fa-f-]|\.\w)")
_BARE_MAC: Final = re.compile(
    r"\b(?:mac|hw ?addr|ether|bssid|lladdr|chaddr|physical|hardware|station|wwn|eui)(?:[ _-]?addr(?:ess)?)?['\"]?"
    r"\s{0,4}(?:[:=]|is)?\s{0,4}['\"]?((?:[0-9A-Fa-f]{12}|[0-9A-Fa-f]{16}"
    r"|[0-9A-Fa-f]{2}(?: [0-9A-Fa-f]{2}){5}))(?![0-9A-Za-z])",
    re.ASCII | re.IGNORECASE,
)
# Words before four numbers that make a version of them, and words that do so where versions are spoken of.
_VERSIONS: Final = words("version versions ver ver. v before through thru until below than firmware build release")
_BETWEEN: Final = words("from to and or in")
_NEAR: Final = ("version", "firmware", "release", "build", "affect", "prior to")
_PRODUCT: Final = re.compile(r"[^A-Za-z/]?[A-Za-z][\w.]*/")
_MASKS: Final = frozenset((0xFFFFFFFF << (32 - n)) & 0xFFFFFFFF for n in range(33))
_CODED_MAC: Final = re.compile(r"(?:[0-9A-Fa-f]{2}%3[aA]){5}[0-9A-Fa-f]{2}")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_PRINTS: Final = (16, 20, 28, 32)  # bytes of a fingerprint


def found(text: str) -> Iterator[Span]:
    """What is one by its form; in any order, maybe over each other."""
    low = text.lower()
    yield from _plain(text)
    if "0x" in low:
        yield from _addresses(_HEX_QUADS, text)
    for m in _WHOLE.finditer(text):
        if _WHOSE.search(text, max(0, m.start() - 16), m.start(1)) and _counts(read_address(m[1])):
            yield Span(*m.span(1), Kind.ADDRESS, True)
    if any(sign in low for sign in _ODD_SIGNS):
        yield from (
            span for span in _addresses(_ODD, text) if not text[span.start : span.end].replace(".", "").isdecimal()
        )
        yield from _addresses(_QUOTED, text)
    for run in _COLONS.finditer(text):
        if run[0].count(":") > 1:
            yield from _colons(text, run.start(), run[0])
    if "%3a" in low:
        yield from _addresses(_CODED, text)
        yield from (_span(m, Kind.MAC) for m in _CODED_MAC.finditer(text))
    if "-" in low or "_" in low:
        yield from (_span(m, Kind.MAC) for m in _DASH_MAC.finditer(text) if not _goes_on(text, m.start()))
    for m in _DOT_MAC.finditer(text):
        if not _goes_on(text, m.start()):
            yield _span(m, Kind.MAC, sure=not m[0].replace(m[1], "").isdecimal())


def _goes_on(text: str, start: int) -> bool:
    """Whether hexadecimal digits, or another group of them, stand before."""
    before = text[start - 1 : start]
    return before in _HEX and before != "" if before not in (".", "-") else text[start - 2 : start - 1] in _HEX


def _addresses(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    for match in pattern.finditer(text):
        start = match.start()
        if not text[start - 1 : start].isdecimal() and _counts(read_address(match[0])):
            yield _span(match, Kind.ADDRESS)


def guessed(text: str) -> Iterator[Span]:
    """What may be one, in a text of a user."""
    yield from (Span(*m.span(1), Kind.MAC, False) for m in _BARE_MAC.finditer(text))
    yield from (_span(m, Kind.NETWORK, sure=False) for m in _WILD.finditer(text) if read_network(m[0]))
    yield from (span._replace(certain=False) for span in _addresses(_DASHED, text))


def _plain(text: str) -> Iterator[Span]:
    for quad in _QUADS.finditer(text):
        start, end = quad.start(), quad.start(1)
        more = quad[1].count(".")
        if (
            start
            and text[start - 1] in "0123456789."
            and (text[start - 1] != "." or text[start - 2 : start - 1].isdecimal())
        ):
            continue  # the middle of a longer number
        address = read_address(text[start:end])
        if not _counts(address) or more > 1:  # more numbers: an object identifier
            continue
        kind = Kind.ADDRESS
        if not more and (length := _LENGTH.match(text, end)):
            kind, end = Kind.NETWORK, length.end()
        yield Span(start, end, kind, not more and (kind is Kind.NETWORK or not _is_version(text, start)))


def _is_version(text: str, start: int) -> bool:
    """Whether the words before tell of versions, so that four numbers need not be an address."""
    before = text[max(0, start - 24) : start]
    said = before.split()
    if not said:
        return False
    last = said[-1]
    if not before[-1].isspace():
        if before[-1].isalpha() or before[-1] == "_":
            return not before.endswith(("\\n", "\\t", "\\r"))
        return (
            last[-1] in "<>" or (last[-1] == "=" and last[-2:-1] in ("<", ">")) or _PRODUCT.fullmatch(last) is not None
        )
    if last in (">", "<", ">=", "<=") or (word := last.lower().strip("(,:;\"'")) in _VERSIONS:
        return True
    return word in _BETWEEN and any(near in text[max(0, start - 60) : start].lower() for near in _NEAR)


def _counts(address: Address | None) -> bool:
    """Whether an address is somebody's: not a loopback, a mask, or nobody's."""
    if address is None:
        return False
    number = address.number
    if address.version == 6:
        return number > 1
    return number not in _MASKS and number >> 24 not in (0, 127) and not IPv4Address(number).is_multicast


def _colons(text: str, start: int, run: str) -> Iterator[Span]:
    head, percent, zone = run.partition("%")
    before = text[max(0, start - 2) : start]
    if before.endswith("%") and head[:2].isalnum():
        start, head, before = start + 2, head[2:], ""  # an escape
    groups = head.split(":")
    if before[-1:].isalpha() and groups[0] and not before.startswith("\\"):
        start += len(groups[0]) + 1  # the end of a word, such as `addr:`
        groups = groups[1:]
    end = start + sum(map(len, groups)) + len(groups) - 1
    if not percent and text[end : end + 1].isalpha() and groups[-1]:
        end -= len(groups[-1])  # the beginning of a word
        groups[-1] = ""
    head = text[start:end]
    if all(len(group) == 2 for group in groups) and len(groups) in (8, *_PRINTS):
        yield Span(start, end, Kind.MAC if len(groups) == 8 else Kind.ID, True)
    elif mac := _MAC.search(head):
        yield Span(start + mac.start(), start + mac.end(), Kind.MAC, True)
    elif len(groups) == 6 and all(1 <= len(group) <= 2 for group in groups):
        yield Span(start, end, Kind.MAC, not head.replace(":", "").isdecimal())
    else:
        yield from _v6(text, start, head, percent + zone)


def _v6(text: str, start: int, head: str, zone: str) -> Iterator[Span]:
    quad = _TAIL.match(text, start + head.rfind(":") + 1) if not zone and text[start + len(head) :][:1] == "." else None
    if quad:
        head = text[start : quad.end()]
    tries = [head, head.rstrip(":"), head.lstrip(":"), head.strip(":"), head.rpartition(":")[0]]
    for tried in dict.fromkeys(tries):
        if (address := read_address(tried)) is None or tried.count(":") < 2:
            continue
        groups = [group for group in tried.split(":") if group]
        digits = any(c.isdecimal() for c in tried)
        if not _counts(address) or not (digits or len(groups) > 2 or min(map(len, groups), default=0) > 2):
            return
        begin = start + head.find(tried)
        end = begin + len(tried) + (len(zone) if tried == head else 0)
        length = _LENGTH6.match(text, end)
        kind = Kind.NETWORK if length else Kind.ADDRESS
        yield Span(begin, length.end() if length else end, kind, digits)
        return


_TAIL: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?![0-9])", re.ASCII)


def _span(found: re.Match[str], kind: Kind, *, sure: bool = True) -> Span:
    return Span(found.start(), found.end(), kind, sure)
