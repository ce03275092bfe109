"""Hostile text is shown harmless, and JSON loses nothing."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.model.safe import safe, safe_cell, safe_json, safe_lines

HOSTILE = [
    ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
    ("\x9b2J", r"\x9b2J"),
    ("a\nb\r\nc\td", "a b c d"),
    ("user\u202etxt.exe", "user\\u202etxt.exe"),
    ("\u2066isolate\u2069", "\\u2066isolate\\u2069"),
    ("zero\u200bwidth", "zero\\u200bwidth"),
    ("line\u2028sep", "line sep"),
    ("bell\x07", r"bell\x07"),
    ("[bold red]markup[/]", "[bold red]markup[/]"),
    ("\udcff", "\\udcff"),
    ("tag\U000e0041", "tag\\ue0041"),
]


@pytest.mark.parametrize(("text", "shown"), HOSTILE)
def test_hostile_text_is_shown_as_text(text: str, shown: str) -> None:
    """Escapes, direction marks and line breaks are readable and inert."""
    assert safe(text) == shown


@given(st.text(alphabet=st.characters(codec=None)))
def test_nothing_that_acts_survives(text: str) -> None:
    """Whatever comes in, no control, format, surrogate or separator character comes out."""
    assert not {unicodedata.category(c) for c in safe(text)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(), st.integers(1, 40))
def test_the_limit_holds(text: str, limit: int) -> None:
    """A cut text is never longer than asked for."""
    assert len(safe(text, limit)) <= limit


def test_stacked_marks_are_bounded() -> None:
    """Text that climbs over its line with combining marks keeps four of them."""
    assert safe("a" + "\u0301" * 50) == "a" + "\u0301" * 4


@given(st.text())
def test_json_is_safe_and_loses_nothing(text: str) -> None:
    """A JSON reader gets the same value back, a terminal gets nothing that acts."""
    encoded = safe_json(json.dumps({"banner": text}, ensure_ascii=False))
    assert json.loads(encoded) == {"banner": text}
    assert not {c for c in encoded if "\x7f" <= c <= "\x9f" or c in "\u202e\u2066\u200b\ufeff"}


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1"])
def test_formulas_are_defused(cell: str) -> None:
    """What a spreadsheet would run starts with an apostrophe."""
    assert safe_cell(cell).startswith("'")


def test_plain_cells_stay_as_they_are() -> None:
    """Ordinary values are not touched."""
    assert safe_cell("nginx 1.25") == "nginx 1.25"


def test_lines_are_kept_and_nothing_else_acts() -> None:
    """Texts of several lines, as models write them."""
    assert safe_lines("a\tb\r\nc\x1b[2J\n\rd\u202e\n") == "a\tb\nc\\x1b[2J\n\\x0dd\\u202e\n"
    assert safe_lines("caf\u00e9") == "caf\u00e9"
