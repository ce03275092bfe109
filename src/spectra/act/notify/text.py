"""A message as people read it: plain text of bounded length, whatever a banner or a certificate put into it."""

from __future__ import annotations

import unicodedata
from typing import Final

from spectra.model.alerts import Message

_MAX_LINE: Final = 500
_TOLD: Final = {"firing": "", "again": "more: ", "resolved": "over: ", "test": "test: "}


def plain(text: str, most: int = _MAX_LINE) -> str:
    """One line without what no line has: control characters, line and paragraph separators, surrogates, marks that
    turn the direction of text, and what XML 1.0 cannot say.
    """
    kept = "".join(c if _is_text(c) else " " for c in text[: 4 * most])
    line = " ".join(kept.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def headline(message: Message) -> str:
    """How bad it is, and what it is, in one line."""
    return plain(f"[{message.severity}] {_TOLD[message.told]}{message.title}", 200)


def body(message: Message, origin: str = "") -> str:
    """The whole of it: the headline, its lines, the rule, and where to read on."""
    lines = [headline(message), *(f"- {plain(line)}" for line in message.lines)]
    if message.told != "test":
        lines.append(f"Rule {message.rule}, {message.at:%Y-%m-%d %H:%M:%S} UTC")
    lines.append(
        link(message, origin) or f"spectra alerts show {message.alert}" if message.alert else link(message, origin)
    )
    return "\n".join(line for line in lines if line)


def link(message: Message, origin: str) -> str:
    """Where the dashboard shows it; empty where nobody said where that is."""
    return f"{origin.rstrip('/')}{message.path}" if origin and message.path.startswith("/") else ""


def _is_text(character: str) -> bool:
    if character in "\ufffe\uffff":
        return False
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp") or character in "\u200c\u200d"
