"""Lengths of time in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spectra.web
from spectra.model.spans import NOW_S, UNITS, ago, span

DAY = 86400


@pytest.mark.parametrize(
    ("seconds", "one", "two"),
    [
        (0.9, "0 s", "0 s"),
        (59, "59 s", "59 s"),
        (60, "1 min", "1 min"),
        (119, "1 min", "1 min"),
        (3720, "1 h", "1 h 2 min"),
        (-90061, "1 d", "1 d 1 h"),
        (DAY + 60, "1 d", "1 d"),
        (45 * DAY, "45 d", "45 d"),
        (400 * DAY, "1 y", "1 y 35 d"),
    ],
)
def test_lengths(seconds: float, one: str, two: str) -> None:
    """The largest units first, with none between that is left out."""
    assert (span(seconds), span(seconds, 2)) == (one, two)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "just now"), (-4.9, "just now"), (5, "5 s ago"), (3700, "1 h ago"), (-40 * DAY, "in 40 d")],
)
def test_how_long_ago(seconds: float, told: str) -> None:
    """In one unit, also of what is ahead."""
    assert ago(seconds) == told


@given(st.floats(-1e11, 1e11), st.integers(1, 4))
def test_what_is_told_is_at_most_what_it_is(seconds: float, units: int) -> None:
    """And less by under one of the smallest unit that is told, as far as units follow each other."""
    sizes = dict(UNITS)
    told = span(seconds, units).split()
    assert len(told) // 2 <= units
    assert sum(int(count) * sizes[name] for count, name in zip(told[::2], told[1::2], strict=True)) <= abs(seconds)


def test_scripts_of_pages_say_the_same() -> None:
    """What they write where time goes on has these units, and the same now."""
    script = (Path(spectra.web.__file__).parent / "static" / "life.js").read_text("utf-8")
    listed = re.search(r"const spans = (\[\[.*\]\]);", script)
    assert listed is not None
    assert re.findall(r'\["(\w+)", (\d+)\]', listed[1]) == [(name, str(size)) for name, size in UNITS]
    assert f'seconds < {NOW_S} ? "just now"' in script
