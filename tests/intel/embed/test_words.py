"""Words as they count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.embed.words import STOP, stem


@pytest.mark.parametrize(
    ("words", "one"),
    [(("overflow", "overflows", "overflowing", "overflowed"), "overflow"), (("query", "queries"), "query"),
     (("execute", "executes", "executed", "executing"), "execut"), (("run", "running"), "run"),
     (("class", "classes"), "")],
)  # fmt: skip
def test_forms_of_a_word_are_one(words: tuple[str, ...], one: str) -> None:
    """Plurals, -ing and -ed count as the word itself; a stop word is one in no form that is listed."""
    found = {stem(word) for word in words}
    assert found == {one} if one else "" in found


@pytest.mark.parametrize("word", ["the", "vulnerability", "attackers", "7", "2024", "x", "cve-2024-6387", ""])
def test_what_says_nothing_is_dropped(word: str) -> None:
    """Stop words, numbers, letters and ids of CVEs."""
    assert not stem(word)


@pytest.mark.parametrize("word", ["cwe-79", "http2", "ssl", "ip_input.c", "dns", "bus", "less"])
def test_names_stay(word: str) -> None:
    """Whatever is no plain word of four letters or more, and what only looks like a plural."""
    assert stem(word) == word


@given(st.from_regex(r"[a-z]{1,20}", fullmatch=True))
def test_any_word_has_a_stem_that_begins_it(word: str) -> None:
    """No letter is invented but the y of -ies; a word that is kept is not emptied."""
    found = stem(word)
    assert word.startswith(found.removesuffix("y"))
    assert found or word in STOP or len(word) < 2
