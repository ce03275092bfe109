"""Texts and times of other people's documents."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.vex.texts import Unusable, decoded, line, moment, problem
from spectra.model.limits import Line


@given(st.text(max_size=80))
def test_a_line_is_one_that_may_be_written(text: str) -> None:
    """By the rule that texts of the API follow; one that is a line already stays."""
    found = line(text)
    assert msgspec.convert(found, Line) == found == line(found)
    if text.isprintable():
        assert found == text.strip()


def test_long_lines() -> None:
    """Are cut."""
    assert line("x" * 2000, 10) == "x" * 10
    assert line("a\n\n b\x1b[1m") == "a b [1m"


def test_times() -> None:
    """Of any zone, UTC without one; others name the field."""
    assert moment(None, "x") is None
    assert moment("", "x") is None
    assert moment("2024-01-01T02:00:00+02:00", "x") == datetime(2024, 1, 1, tzinfo=UTC)
    assert moment("2024-01-01T00:00:00", "x") == datetime(2024, 1, 1, tzinfo=UTC)
    for text in ("soon", "9999-12-31T23:59:59-12:00"):
        with pytest.raises(ValueError, match="`x`"):
            moment(text, "x")


class Thing(msgspec.Struct):
    """Something with a number."""

    number: int


def test_problems() -> None:
    """Name the part of the list and the field in it."""
    with pytest.raises(msgspec.ValidationError) as caught:
        decoded(msgspec.Raw(b'{"number": "x"}'), Thing)
    assert problem(3, "things", caught.value).field == "things[3].number"
    with pytest.raises(msgspec.ValidationError) as caught:
        decoded(msgspec.Raw(b"7"), Thing)
    assert problem(3, "things", caught.value).field == "things[3]"
    assert problem(0, "things", Unusable("a.b", "No.")) == problem(0, "things", Unusable("a.b", "No."))
    assert problem(0, "things", Unusable("a.b", "No.")).field == "things[0].a.b"
    assert "deep" in problem(0, "things", RecursionError()).message
