"""Markup of drawings: whatever goes in, nothing gets out of its attribute or its text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from spectra.web.charts.svg import drawing, fitted, link, number, own, rect, shade, short, tag, text
from tests.web.charts.reading import drawn

HOSTILE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))


@settings(max_examples=40)
@given(said=HOSTILE, title=HOSTILE)
def test_what_goes_in_stays_text(said: str, title: str) -> None:
    """A label and a title are read back as they were; there is no element but ours."""
    root = drawn(drawing("x", title, (10, 10), [text(0, 0, said, class_=said)]))
    assert [element.tag for element in root.iter()] == ["svg", "title", "text"]
    assert (root[0].text or "", root[1].text or "") == (title, said)


def test_attributes_have_the_names_of_svg() -> None:
    """`class_` is class, underscores are hyphens, what is nothing is not there; numbers are short."""
    assert tag("a", class_="b", text_anchor="end", href=None, x=1.0, y=2.345) == Markup(
        '<a class="b" text-anchor="end" x="1" y="2.35"/>'
    )
    assert rect(0, 0, -3, 2) == '<rect x="0" y="0" width="0" height="2"/>'
    assert number(3) == "3"


def test_links_lie_over_the_image_and_not_in_it() -> None:
    """A reader of screens has the image as one thing, and the links beside it."""
    plain = drawn(drawing("x", "t", (1, 1), [rect(0, 0, 1, 1)]))
    assert plain.get("role") == "img"
    over = drawn(drawing("x", "t", (1, 1), [rect(0, 0, 1, 1)], [link("/a?b=1&c=2", "l", reached=False)]))
    assert over.get("role") is None
    assert [child.tag for child in over] == ["g", "a"]
    assert (over[0].get("role"), over[0][0].text) == ("img", "t")
    assert (over[1].get("href"), over[1].get("tabindex")) == ("/a?b=1&c=2", "-1")


@pytest.mark.parametrize(
    "path", ["javascript:alert(1)", "//evil.example/", "/\\evil.example", "https://evil.example", ""]
)
def test_links_lead_to_pages_of_ours(path: str) -> None:
    """Any other is refused."""
    with pytest.raises(ValueError, match="paths of ours"):
        own(path)


def test_numbers_and_words_are_short() -> None:
    """Counts to two or three characters, labels to the room that there is."""
    shown = [short(n) for n in (0, 950, 1200, 9960, 31_400, 4_500_000, 2e9)]
    assert shown == ["0", "950", "1.2k", "10k", "31k", "4.5M", "2G"]
    assert fitted("abc", 100) == "abc"
    assert fitted("a long name", 40) == "a lon…"


def test_shades_follow_the_logarithm() -> None:
    """Nothing has none, the most has the darkest, and each is at least as dark as what is less."""
    shades = [shade(n, 1_000_000) for n in (0, 1, 10, 1000, 100_000, 1_000_000)]
    assert shades == sorted(shades)
    assert (shades[0], shades[1], shades[-1]) == (0, 1, 8)
    assert shade(1, 1) == 8
    assert shade(1, 0) == 0
