"""Tests of spectra.mesh.wording."""

from __future__ import annotations

import pytest

from spectra.mesh.wording import span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.9, "9.9 s"),
        (9.96, "10 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7_199.0, "119 min"),
        (7_200.0, "2 h"),
        (172_799.0, "47 h"),
        (172_800.0, "2 days"),
        (1e9, "11574 days"),
    ],
)
def test_says_a_length_in_the_largest_unit_of_which_there_are_two(seconds: float, text: str) -> None:
    """Seconds, then minutes, hours and days, never less than two of them."""
    assert span(seconds) == text
