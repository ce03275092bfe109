"""Markdown: what was said is text to every reader of it."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from spectra.ai.reports import markdown
from spectra.ai.reports.view import view
from tests.ai.reports.papers import document, tables

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def kinds(text: str) -> set[str]:
    """Every kind of token in a text."""
    found: set[str] = set()
    for token in READER.parse(text):
        found |= {token.type, *(child.type for child in token.children or ())}
    return found


def test_a_report_is_markdown() -> None:
    """Headings, lists, tables, numbered sources; no link, picture or HTML that nobody meant."""
    page = markdown.rendered(view(document(), "ab"))
    found = kinds(page)
    assert {"heading_open", "table_open", "ordered_list_open", "bullet_list_open"} <= found
    assert not {"link_open", "image", "html_inline", "html_block", "code_block", "fence"} & found
    assert page.startswith("# Full assessment: 192.0.2.7\n")
    assert "1. Stop it." in page
    assert "**[high]** **Telnet.** Clear text. [2]" in page
    assert "SHA-256 of the document `ab`" in page


def test_an_empty_table_says_so() -> None:
    """And how many rows had no room."""
    page = markdown.rendered(view(document(tables=tables(findings=(), more={"names": 12})), ""))
    assert "## Weaknesses\n\nNone." in page
    assert "And 12 more." in page


@settings(max_examples=60)
@example("1.")
@given(st.text(st.sampled_from("ab1.)(-+=*_`[]<>|#~!$&\\ :/htps@w\n\t"), max_size=30))
def test_no_text_is_markup(text: str) -> None:
    """Whatever it is made of: a paragraph, and in it only text."""
    found = kinds(f"x {markdown.text(text)} x")
    assert found <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}
    assert kinds(markdown.text(text)) <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}
