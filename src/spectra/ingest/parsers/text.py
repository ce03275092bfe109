"""What every text passes on its way out of a parser, and the forms of addresses, hostnames and ports.

A scanner repeats what strangers' services told it. What leaves a parser holds no control character but line feed and
tab (PostgreSQL refuses NUL, terminals obey the rest), no lone surrogate, no character that reverses the direction of
what follows it, and has a bounded length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv6Address

NAME_CHARS = 255
LABEL_CHARS = 200
TITLE_CHARS = 500
EVIDENCE_BYTES = 4096
MAX_EVIDENCE = 64  # pieces per endpoint, host or name
MAX_CPE = 32  # names per service

# C0 without \t and \n, DEL and C1, the bidirectional overrides and isolates of Unicode (UAX 9), surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SPACE = re.compile(r"\s+")
# Dotted decimals without leading zeros, the only form `ipaddress` takes: a tenth of its time, once for every host.
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_HOSTNAME = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63})*")


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _visible(text: str) -> str:
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n").replace("\r", "\n"))


def clean(text: str | None, limit: int = LABEL_CHARS) -> str:
    """`text` on one line, at most `limit` characters, control characters made visible as `\\xNN`."""
    if not text:
        return ""
    if len(text) <= limit and text.isprintable():
        return text.strip()
    return _SPACE.sub(" ", _visible(text[: limit * 2].strip()))[:limit].strip()


def block(text: str | None, limit: int = EVIDENCE_BYTES) -> str:
    """`text` with its lines, at most `limit` bytes of UTF-8 cut between characters, otherwise as `clean`."""
    if not text:
        return ""
    visible = _visible(text[:limit]).strip()
    return visible.encode()[:limit].decode("utf-8", "ignore")


def address(text: str | None) -> str | None:
    """The canonical text of an IP address without zone, or None. An IPv4-mapped IPv6 address is the IPv4 address."""
    if not text or len(text) > 100:
        return None
    if ":" not in text:
        return text if _IPV4.fullmatch(text) else None
    try:
        found = IPv6Address(text.partition("%")[0])
    except (AddressValueError, ValueError):
        return None
    return str(found.ipv4_mapped or found)


def hostname(text: str | None) -> str | None:
    """A hostname in lower case without the trailing dot, or None where `text` is an address or no name at all."""
    if not text or len(text) > NAME_CHARS + 1:
        return None
    name = text.strip().removesuffix(".").lower()
    if len(name) > 253 or _HOSTNAME.fullmatch(name) is None or _IPV4.fullmatch(name):
        return None
    return name


def port_number(value: str | int | None) -> int | None:
    """A port from 0 to 65535, or None."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) <= 5 else None
    return value if value is not None and 0 <= value <= 65535 else None


def cpes(texts: Iterable[str | None]) -> tuple[str, ...]:
    """The CPE names among `texts`, sorted, each once."""
    found = {clean(text) for text in texts if text and text.strip().startswith("cpe:")}
    return tuple(sorted(found)[:MAX_CPE])
