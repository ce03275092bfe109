"""Terms come and go, and what somebody typed stays as it was typed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.model.query import parse
from spectra.web.terms import added, has, pieces, term, toggled

NOW = datetime(2026, 3, 1, tzinfo=UTC)
QUERY = 'port:22,80  -product:"Apache \\"x\\" y" NOT service:ssh "two words" /a b+/ title:/x y/,z since:7d bare'


def test_terms_are_told_apart() -> None:
    """By blanks outside of quotes and slashes, as the language has it; there are as many as it reads."""
    found = [piece.term for piece in pieces(QUERY)]
    assert found == [
        "port:22,80",
        '-product:"Apache \\"x\\" y"',
        "NOT service:ssh",
        '"two words"',
        "/a b+/",
        "title:/x y/,z",
        "since:7d",
        "bare",
    ]
    assert len(parse(QUERY, NOW).terms) == len(found)


def test_a_query_without_a_term_has_the_others() -> None:
    """In their order, each as it was."""
    for place, piece in enumerate(pieces(QUERY)):
        others = [one.term for one in pieces(QUERY)]
        del others[place]
        assert [one.term for one in pieces(piece.rest)] == others


def test_a_term_is_added_once() -> None:
    """And taken away by adding it again."""
    assert added("", "port:22") == "port:22"
    assert added(" a ", "port:22") == "a port:22"
    assert added("port:22 a", "port:22") == "port:22 a"
    assert toggled("a port:22 b", "port:22") == "a b"
    assert toggled("a b", "port:22") == "a b port:22"
    assert has("PORT:22", "port:22")
    assert not has("port:221", "port:22")


@settings(max_examples=40, deadline=None)
@given(
    value=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20).filter(
        str.strip
    )
)
def test_any_value_is_one_term(value: str) -> None:
    """Whatever it holds beside space, it is read back as itself and comes and goes as a whole."""
    wanted = term("product", value)
    (read,) = parse(wanted, NOW).terms
    assert read.values[0].text.split() == value.split()  # pyright: ignore[reportAttributeAccessIssue]
    assert has(added("a", wanted), wanted)
    assert toggled(added("a", wanted), wanted) == "a"


@pytest.mark.parametrize("query", ['"never closed', "a:", "-", "NOT", '"', "//", 'x"y z"'])
def test_what_is_no_query_is_cut_somewhere(query: str) -> None:
    """It is shown with its error, so this may not fail."""
    for piece in pieces(query):
        assert len(piece.rest) < len(query)
