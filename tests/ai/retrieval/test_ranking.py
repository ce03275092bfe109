"""Rankings are fused by places."""

from __future__ import annotations

from spectra.ai.retrieval.lines import Focus
from spectra.ai.retrieval.ranking import by_question, by_vectors, by_words, fused
from tests.ai.retrieval.town import Alike


def test_what_several_rankings_have_comes_first() -> None:
    """A double counts once; of equal ones the lower id."""
    assert fused(["a", "b", "a"], ["b"], []) == ["b", "a"]
    assert fused(["x"], ["w"]) == ["w", "x"]
    assert fused() == []
    assert fused(["x"], ["w"], weights=(1.0, 0.4)) == ["x", "w"]


def test_rankings_of_a_page() -> None:
    """By the places in each; one without a place is not in it."""
    page = Alike(("CVE-1", 2, None), ("CVE-2", 1, 2), ("CVE-3", None, 1)).to_text("x", 3)
    assert by_words(page) == ["CVE-2", "CVE-1"]
    assert by_vectors(page) == ["CVE-3", "CVE-2"]


def test_by_the_words_of_the_question() -> None:
    """Texts that have none of them are left out; of equal ones the more urgent stays first."""
    texts = {"a": "a heap overflow", "b": "a race", "c": "heap overflow in sshd", "d": "overflow of the heap"}
    assert by_question(Focus("heap overflow in sshd?"), texts) == ["c", "a", "d"]
    assert by_question(Focus(""), texts) == []
