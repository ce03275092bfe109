"""Short ids stand for whole ones."""

from __future__ import annotations

import pytest

from spectra.cli.ids import resolve, short
from spectra.errors import BadRequest

ONE, TWO = "ab" * 32, "abab" + "cd" * 30
FLOWS = [ONE, f"{ONE}-graph", TWO]


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        (short(ONE), ONE),
        (short(f"{ONE}-graph"), f"{ONE}-graph"),
        (TWO[:9], TWO),
        (ONE, ONE),
        ("0123456789", "0123456789"),
        ("abab", "abab"),
    ],
)
def test_what_a_table_shows_can_be_typed(given: str, whole: str) -> None:
    """The short form, a beginning of eight digits or more and the whole id all name the same record."""
    assert resolve(given, lambda: FLOWS) == whole


def test_a_beginning_that_fits_several_is_refused() -> None:
    """Nothing is guessed."""
    with pytest.raises(BadRequest, match="2 ids"):
        resolve(ONE[:12], lambda: FLOWS)


def test_a_whole_id_asks_nobody() -> None:
    """The list is fetched only where it is needed."""
    assert resolve(ONE, lambda: pytest.fail("asked")) == ONE
