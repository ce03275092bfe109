"""Times, numbers and sizes as pages say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spectra.web import words

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=61), "1 h ago"),
        (timedelta(days=45), "45 d ago"),
        (timedelta(days=800), "2 y ago"),
        (-timedelta(hours=5), "in 5 h"),
    ],
)
def test_how_long_ago(before: timedelta, told: str) -> None:
    """In the largest unit that fits, with the moment itself in the element."""
    said = words.ago(NOW - before, NOW)
    assert f">{told}</time>" in said
    assert (NOW - before).isoformat() in said


def test_no_moment_is_a_dash() -> None:
    """Nothing, and text that is no time, are not made up."""
    assert words.ago(None) == words.ago("soon") == words.when("")
    assert "–" in words.when(None)


def test_a_moment_as_text_is_read() -> None:
    """RFC 3339 with a Z, as the API's JSON has it; without a zone it is UTC."""
    assert words.moment("2026-03-01T12:00:00Z") == words.moment("2026-03-01T12:00:00") == NOW
    assert "2026-03-01 12:00" in words.when("2026-03-01T12:00:00Z")


def test_numbers_and_sizes() -> None:
    """Thousands are set apart, sizes are in binary units."""
    assert words.number(1234567) == "1\u202f234\u202f567"
    assert words.number(2.5) == "2.5"
    assert words.number(None) == words.size(None) == words.share(None) == "–"
    assert (words.size(512), words.size(1536), words.size(3 * 1024**4)) == ("512 B", "1.5 KiB", "3.0 TiB")
    assert words.share(0.256) == "26 %"


def test_words_of_strangers_are_escaped() -> None:
    """A severity or state is text wherever it comes from, and classes are ours alone."""
    for filtered in (words.severity, words.state):
        said = filtered('"><script>alert(1)</script>')
        assert "<script" not in said
        assert 'class="badge s' in said


def test_a_segment_stays_one() -> None:
    """Slashes, dots and percent signs in a name lead nowhere else."""
    assert words.segment("a/../b%2f?x#y") == "a%2F..%2Fb%252f%3Fx%23y"


def test_lines_keep_their_ends() -> None:
    """And nothing in them is markup."""
    assert words.lines("a\n<b>") == "a<br>&lt;b&gt;"
