"""Lengths of time in words, the same on pages and in terminals: `45 s`, `3 h`, `2 d 4 h`; `3 h ago`, `in 40 d`."""

from __future__ import annotations

from typing import Final

UNITS: Final = (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
"""Names and seconds, the largest first. Months are of no length that everybody agrees on."""
NOW_S: Final = 5
"""What is nearer than this is now."""


def span(seconds: float, units: int = 1) -> str:
    """In the largest units, at most so many: `45 s`, `3 min`, `2 d 4 h`, `1 y 20 d`; below a second `0 s`."""
    left = int(abs(seconds))
    parts: list[str] = []
    for name, size in UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
        elif parts:
            break  # `1 y 5 min` says more than is known
        if len(parts) == units or (parts and name == "min"):  # nor are seconds told beside minutes
            break
    return " ".join(parts) or "0 s"


def ago(seconds: float) -> str:
    """How long ago something was, in one unit: `just now`, `3 h ago`; of what is ahead, `in 40 d`."""
    if abs(seconds) < NOW_S:
        return "just now"
    return f"in {span(seconds)}" if seconds < 0 else f"{span(seconds)} ago"
