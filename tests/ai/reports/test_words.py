"""How reports say small things."""

from __future__ import annotations

from spectra.ai.reports import words
from tests.ai.reports.papers import NOW, finding


def test_counts_and_lists() -> None:
    """One or many, each word once, and how many had no room."""
    assert (words.count(1, "host"), words.count(1200, "host"), words.count(2, "a", "b")) == (
        "1 host",
        "1,200 hosts",
        "2 b",
    )
    assert words.and_more(["a", "b", "a", "", "c"], 2) == "a, b and 1 more"
    assert words.and_more(["a"], 2) == "a"


def test_texts_that_were_cut_end_with_a_word() -> None:
    """And with one mark that something is missing, not with four dots."""
    assert words.whole_words("It runs code. (Co…") == "It runs code …"
    assert words.whole_words("It runs code.") == "It runs code"
    assert (words.sentence("a"), words.sentence("a …")) == ("a.", "a …")


def test_days_products_and_ids() -> None:
    """Of nothing a dash; an endpoint or the host."""
    assert (words.day(NOW), words.day(None)) == ("2027-03-01", "–")
    assert words.product_of(finding()) == "OpenSSH 9.2p1"
    assert words.product_of(finding(product="", version="")) == "software not told"
    assert words.endpoint("192.0.2.7", "443/tcp") == "endpoint:192.0.2.7/tcp/443"
    assert words.endpoint("192.0.2.7", "") == "host:192.0.2.7"
    assert [words.weight_of(word) for word in ("critical", "none", "odd")] == ["critical", "info", "info"]
