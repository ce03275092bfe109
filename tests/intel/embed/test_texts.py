"""The text of a weakness."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.embed.texts import MAX_TEXT, composed, digest_of


def test_all_parts_are_in_it() -> None:
    """Title, description, CWE ids, and product names without the signs of CPE names, each once."""
    text = composed(
        "Title", " words\nof it ", ["CWE-79", "CWE-89"], ["openbsd openssh", "qt qt_creator\\+", "a a", "a a"]
    )
    assert text == "Title\nwords\nof it\nCWE-79 CWE-89\nopenbsd openssh, qt qt creator+, a a"
    assert composed("", "", [], []) == ""


@given(st.text(max_size=50), st.text(), st.lists(st.text()), st.lists(st.text()), st.integers(1, 3000))
def test_it_is_bounded_and_the_same_twice(
    title: str, description: str, weaknesses: list[str], products: list[str], times: int
) -> None:
    """Whatever a feed says, lone surrogates and all."""
    text = composed(title * times, description * times, weaknesses * times, products)
    assert len(text) <= MAX_TEXT
    assert digest_of(text) == digest_of(composed(title * times, description * times, weaknesses * times, products))
    assert len(digest_of(text + "\ud800")) == 16
