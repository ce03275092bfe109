"""CPE names between their two bound forms (NIST IR 7695): the 2.2 URI of most scanners and the 2.3 formatted string.

A name here is its eleven attributes as a formatted string writes them: `*` is ANY, `-` is NA, a `?` or `*` inside is a
wildcard, and punctuation other than `.`, `-` and `_` stands behind a backslash.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

ANY: Final = "*"
NA: Final = "-"

_MAX: Final = 1000  # characters of a name; the longest in the NVD's dictionary has 200
_HEX: Final = re.compile(r"%([0-9A-Fa-f]{2})|(.)", re.DOTALL)
_BODY: Final = r"(?:[A-Za-z0-9\-._]|\\[\\*?!\"#$%&'()+,/:;<=>@\[\]^`{|}~.\-_])"
_VALUE: Final = re.compile(rf"(?:(?:\?*|\*){_BODY}+(?:\?*|\*)|\?+|\*|-)")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-(?:[A-Za-z]{2}|[0-9]{3}))?|\*|-")
_COLON: Final = re.compile(r"(?<!\\)(?:\\\\)*:")
_PLAIN: Final = frozenset(".-_")


class Cpe(NamedTuple):
    """The attributes of a name, in the order of the formatted string."""

    part: str = ANY
    vendor: str = ANY
    product: str = ANY
    version: str = ANY
    update: str = ANY
    edition: str = ANY
    language: str = ANY
    sw_edition: str = ANY
    target_sw: str = ANY
    target_hw: str = ANY
    other: str = ANY

    def __str__(self) -> str:
        return "cpe:2.3:" + ":".join(self)


def parse(name: str) -> Cpe | None:
    """A name in either form; None if it is in neither."""
    name = name.strip()
    if len(name) > _MAX or not name.isascii():
        return None
    lower = name[:8].lower()
    if lower == "cpe:2.3:":
        return _checked(_split(name[8:]))
    return _from_uri(name[5:]) if lower[:5] == "cpe:/" else None


def uri(cpe: Cpe) -> str:
    """The name as a 2.2 URI: the last four attributes are packed into the edition where one of them is told."""
    edition = _bound(cpe.edition)
    extended = [_bound(value) for value in cpe[7:]]
    if any(extended):
        edition = "~".join(["", edition, *extended])
    parts = [*(_bound(value) for value in cpe[:5]), edition, _bound(cpe.language)]
    return f"cpe:/{':'.join(parts).rstrip(':')}"


def quoted(text: str) -> str:
    """Plain text as the value of an attribute; ANY where there is none."""
    return "".join(_literal(c) for c in text.lower().replace(" ", "_")) or ANY if text != NA else r"\-"


def _split(text: str) -> list[str]:
    parts: list[str] = []
    start = 0
    for found in _COLON.finditer(text):
        parts.append(text[start : found.end() - 1])
        start = found.end()
    return [*parts, text[start:]]


def _checked(values: list[str]) -> Cpe | None:
    """The name of eleven values in lower case, None where one of them cannot be."""
    if len(values) != 11:
        return None
    cpe = Cpe(*(_unneeded(value.lower()) for value in values))
    good = all(_VALUE.fullmatch(value) for value in cpe) and _LANGUAGE.fullmatch(cpe.language)
    return cpe if good and cpe.part in ("a", "o", "h", ANY, NA) else None


def _unneeded(value: str) -> str:
    """`value` without backslashes before what stands for itself; a hyphen alone needs its own, or it would be NA."""
    return value if value == r"\-" else re.sub(r"\\([._-])|(\\.)", lambda m: m[1] or m[2], value)


def _from_uri(text: str) -> Cpe | None:
    parts = text.split(":")
    if len(parts) > 7 or not parts[0]:
        return None
    parts += [""] * (7 - len(parts))
    extended = [""] * 4
    if parts[5].startswith("~"):
        packed = parts[5].split("~")
        if len(packed) > 6:
            return None
        parts[5], *extended = [*packed[1:], "", "", "", "", ""][:5]
    values = [_unbound(value) for value in (*parts, *extended)]
    return _checked([value for value in values if value is not None])


def _unbound(value: str) -> str | None:
    """One value of a URI: `%01` and `%02` are wildcards, other escapes and punctuation are themselves."""
    if value in ("", NA):
        return value or ANY
    out: list[str] = []
    found: list[tuple[str, str]] = _HEX.findall(value.lower())
    for escaped, plain in found:
        if escaped in ("01", "02"):
            out.append("?" if escaped == "01" else "*")
            continue
        char = chr(int(escaped, 16)) if escaped else plain
        if not "!" <= char <= "~":
            return None
        # The reference implementation takes `?` and `*` outside of escapes for wildcards.
        out.append(char if plain in ("?", "*") and not escaped else _literal(char))
    joined = "".join(out)
    return r"\-" if joined == NA else joined


def _literal(char: str) -> str:
    return char if char.isalnum() or char in _PLAIN else f"\\{char}"


def _bound(value: str) -> str:
    """One value as a URI writes it."""
    if value in (ANY, NA):
        return "" if value == ANY else NA
    out: list[str] = []
    found: list[tuple[str, str]] = re.findall(r"\\(.)|(.)", value)
    for escaped, plain in found:
        if escaped:
            out.append(f"%{ord(escaped):02x}")
        else:
            out.append({"?": "%01", "*": "%02"}.get(plain, plain))
    return "".join(out)
