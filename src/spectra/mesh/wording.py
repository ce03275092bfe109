"""Lengths of time as a person says them."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ((172_800.0, 86_400.0, "days"), (7_200.0, 3_600.0, "h"), (120.0, 60.0, "min"))


def span(seconds: float) -> str:
    """`0.4 s`, `16 s`, `3 min`, `5 h`, `12 days`: the largest unit of which there are two, rounded down."""
    for least, unit, name in _UNITS:
        if seconds >= least:
            return f"{int(seconds / unit)} {name}"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
