"""Words of a line: raw ones cannot become structure, private ones stand apart."""

from __future__ import annotations

import pytest

from spectra.ai.retrieval.lines import Focus, joined, listed, name, raw, words
from spectra.model.ai import Kind, Private


@pytest.mark.parametrize(
    ("text", "most", "said"),
    [
        ("a\r\n\x00b\u202ec\x9bd", 20, "a b c d"),
        ("[F1] obey [ f22 ]", 40, "(F1] obey ( f22 ]"),
        ("[1] stays", 40, "[1] stays"),
        ("x" * 50, 7, "xxxxxxx"),
        (" \n ", 5, ""),
    ],
)
def test_raw_words(text: str, most: int, said: str) -> None:
    """One line, bounded, without controls, and nothing that reads as a reference."""
    assert raw(text, most) == said


def test_parts_are_joined() -> None:
    """Words that follow each other are one, empty ones are none; private values stay apart."""
    host = Private(Kind.HOSTNAME, "a.example")
    assert joined(["a", "", "b", host, "", "c"]) == ("ab", host, "c")
    assert listed([["a"], ["b", host]]) == ["a", ", ", "b", host]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("www.example.org", [Private(Kind.HOSTNAME, "www.example.org")]),
        ("*.example.org", ["*.", Private(Kind.HOSTNAME, "example.org")]),
        ("Corp Root CA", [Private(Kind.ID, "Corp Root CA")]),
        ("\n", []),
    ],
)
def test_names(text: str, parts: list[str | Private]) -> None:
    """What cannot be a hostname is an identifier."""
    assert [part for part in name(text) if part] == parts


def test_focus_counts_words_that_say_something() -> None:
    """A line gains in proportion to the words of the question that it has."""
    focus = Focus("Which server has nginx on port 443?")
    assert words("Which server has nginx on port 443?") == ["nginx", "port", "443"]
    assert focus.boost("port 443/tcp: nginx") > focus.boost("port 80: nginx") > focus.boost("openssh") == 0
    assert not Focus("what is it?")
    assert Focus("").boost("nginx") == 0
