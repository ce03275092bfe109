"""Which regular expressions are accepted, where the others are wrong, and how they are written for the database."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.model.regex import MAX_LENGTH, RegexError, compiled


@pytest.mark.parametrize(
    ("pattern", "sql"),
    [
        ("nginx", "nginx"),
        ("^nginx|apache$", "^nginx|apache$"),
        (r"ssh-[12]\.", r"ssh\-[12]\."),
        ("a.c", "a.c"),
        ("(a|b)+", "(?:(?:a|b))+"),
        ("(?:ab){2,3}", "(?:(?:ab)){2,3}"),
        ("a*?b+?c??", "a*b+c?"),
        ("a{2}b{2,}", "a{2}b{2,}"),
        (r"\bssh\B", r"\yssh\Y"),
        (r"\d\W\n\/", "\\d\\W\n\\/"),
        ("[a-f0-9]", "[a-f0-9]"),
        ("[^]a]", r"[^\]a]"),
        ("[]-]", r"[\]\-]"),
        ("[a-]", r"[a\-]"),
        ("[[:alpha:]-z]", r"[[:alpha:]\-z]"),
        (r"[\d.]", r"[\d\.]"),
        ("<a b=1>", r"\<a\ b\=1\>"),
        ("a}", r"a\}"),
        ("é日", "é日"),
        ("(|a)", "(?:|a)"),
    ],
)
def test_a_pattern_is_written_in_the_dialect_of_the_database(pattern: str, sql: str) -> None:
    """What is meant literally has a backslash, lazy repetition is repetition, `\\b` is `\\y`."""
    assert compiled(pattern) == sql


@pytest.mark.parametrize(
    ("pattern", "at", "says"),
    [
        ("a(b", 1, "never closed"),
        ("ab)", 2, "no group to close"),
        ("a[b", 1, "never closed"),
        ("[]", 0, "never closed"),
        ("*a", 0, "nothing to repeat"),
        ("a|+", 2, "nothing to repeat"),
        ("{2}", 0, "nothing to repeat"),
        ("^*", 1, "nothing to repeat"),
        (r"\b+", 2, "nothing to repeat"),
        ("a**", 2, "repeats a repetition"),
        ("a{2}{3}", 4, "repeats a repetition"),
        ("a{x}", 1, "no number of repetitions"),
        ("a{,3}", 1, "no number of repetitions"),
        ("a{3,2}", 1, "more than"),
        ("a{101}", 1, "at most 100"),
        ("(a{50}){50}", 0, "repeats too much"),
        (r"(a)\1", 3, "back-references"),
        ("(?=a)", 0, "look-around"),
        ("(?i)a", 0, "look-around"),
        ("a\\", 1, "stands at the end"),
        (r"\q", 0, "no meaning"),
        (r"\_", 0, "no meaning"),
        (r"[\W]", 1, "no meaning"),
        ("[z-a]", 1, "the range is empty"),
        (r"[a-\d]", 1, "no end of a range"),
        ("[a-\uffff]", 1, "too large"),
        ("[[:alphabet:]]", 1, "no class"),
        ("(" * 11 + ")" * 11, 10, "too deep"),
        ("a" * (MAX_LENGTH + 1), MAX_LENGTH, "200 are allowed"),
    ],
)
def test_a_mistake_is_pointed_at(pattern: str, at: int, says: str) -> None:
    """By its offset."""
    with pytest.raises(RegexError, match=says) as caught:
        compiled(pattern)
    assert caught.value.at == at


@given(st.text("ab(|)[]^$*+?{}12,-.\\dw:", max_size=30) | st.text(max_size=250))
def test_any_text_is_a_regex_or_a_mistake_in_it(text: str) -> None:
    """Nothing but `RegexError` is raised, and its offset lies in the pattern."""
    assert 0 <= mistake(text) <= len(text)


def mistake(text: str) -> int:
    """Where the mistake is; 0 where there is none. Nothing else is caught."""
    try:
        compiled(text)
    except RegexError as error:
        return error.at
    return 0


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_what_is_escaped_is_literal(text: str) -> None:
    """A text with a backslash before every sign is itself."""
    pattern = re.sub(r"([!-/:-@\[-^`{-~])", r"\\\1", text)
    assert re.sub(r"\\(.)", r"\1", compiled(pattern), flags=re.DOTALL) == text
