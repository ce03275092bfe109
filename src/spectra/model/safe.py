"""What a banner said, made harmless for the place it is shown in: a terminal, a JSON line, a CSV cell.

Everything that came from a network, a file or a server passes through here before it is printed. Rich markup needs no
care beside this: cells are always `rich.text.Text`, which is never parsed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

# Characters that act on a terminal, hide text or turn its direction: C0 and C1 controls (ECMA-48), format characters
# (bidirectional controls of UAX #9, zero-width ones, tags), line and paragraph separators, and lone surrogates.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_BLANK = re.compile(r"[ \t\r\n\v\f\x1c-\x1f\x85\u2028\u2029]+")
_JSON_UNSAFE = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# OWASP, "CSV Injection": what makes a spreadsheet read a cell as a formula, with the full-width forms.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_MAX_MARKS = 4


def _visible(char: str) -> str:
    """`char` itself, or its code as text (`\\x1b`, `\\u202e`) if it would act instead of being seen."""
    if unicodedata.category(char) not in _UNSAFE_CATEGORIES:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def safe(text: object, limit: int = 0) -> str:
    """`text` on one line, with nothing in it that acts on a terminal; cut to `limit` characters with `…` if given.

    White space and line breaks become one space; control, format and direction characters are written as their code,
    so that they can be read and cannot act; more than four combining marks in a row are dropped.
    """
    line = _BLANK.sub(" ", str(text)).strip()
    if limit:
        line = line[: limit * 8]  # a bound on work before the exact cut below
    shown = line if line.isascii() and line.isprintable() else _rewritten(line)
    if limit and len(shown) > limit:
        return shown[: max(limit - 1, 0)] + "…"
    return shown


def safe_lines(text: str) -> str:
    """`text` with its line breaks and tabs, and nothing else in it that acts on a terminal. A carriage return is none:
    what comes after it would hide what stands before.
    """
    shown = text.replace("\r\n", "\n")
    return "\n".join(
        line if line.isascii() and line.isprintable() else "\t".join(map(_rewritten, line.split("\t")))
        for line in shown.split("\n")
    )


def _rewritten(line: str) -> str:
    parts: list[str] = []
    marks = 0
    for char in line:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= _MAX_MARKS:
            parts.append(_visible(char))
    return "".join(parts)


def _escape(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be")  # RFC 8259 section 7: beyond the BMP a surrogate pair is written
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def safe_json(encoded: str) -> str:
    """JSON text with the characters JSON leaves as they are but a terminal acts on, written as `\\u` escapes.

    Nothing is lost: a JSON reader gets the same value. `encoded` must be valid JSON, where these characters can only
    stand inside strings.
    """
    return _JSON_UNSAFE.sub(_escape, encoded)


def acting(text: str, written: Callable[[str], str]) -> str:
    """`text` with each character that acts on a terminal, line ends aside, as what `written` makes of it."""
    return _JSON_UNSAFE.sub(lambda found: written(found.group()), text)


def safe_cell(value: str) -> str:
    """A CSV cell that no spreadsheet runs: made `safe`, and `'` put before what would start a formula."""
    shown = safe(value)
    return f"'{shown}" if value.startswith(_FORMULA) or shown.startswith(_FORMULA) else shown
