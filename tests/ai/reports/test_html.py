"""HTML: one page that needs nothing from elsewhere, in which nothing that was said is markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from spectra.ai.reports import html
from spectra.ai.reports.view import view
from tests.ai.reports.papers import EVIL, document, tables


class Reader(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One more."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It closes the one that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text."""
        self.words += data


def test_what_was_said_is_text() -> None:
    """No script, no link out, nothing fetched; every tag is closed."""
    page = Reader(html.rendered(view(document(), "ab" * 32)))
    assert page.open == []
    assert not {"script", "img", "iframe", "link", "object", "form"} & set(page.tags)
    assert {value for name, value in page.attributes if name in ("href", "src")} == {"#s1", "#s2"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert EVIL[:25] in page.words
    assert ("ab" * 32) in page.words
    assert ("Content-Security-Policy") in dict(page.attributes).values()


def test_everything_is_there() -> None:
    """Figures, bars, sections of every form, tables with badges, sources, notes."""
    page = html.rendered(view(document(), "ab"))
    for words in (
        "Admin login",
        "badge critical",
        "badge high",
        'id="s2"',
        "It tells of 1 host.",
        "<ol",
        "<ul",
        "not met",
    ):
        assert words in page
    assert re.search(r'class="bar".*?flex-grow:0\.5', page, re.DOTALL)


def test_an_empty_table_says_so() -> None:
    """And one whose rows had no room says how many."""
    page = html.rendered(view(document(tables=tables(findings=(), more={"names": 12})), ""))
    assert '<p class="none">None.</p>' in page
    assert "And 12 more." in page
