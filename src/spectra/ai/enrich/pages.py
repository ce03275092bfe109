"""Fetched pages as text: what a person would read of them, on few lines, and set apart from what is said to a model."""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Iterator
from typing import Final

from spectra.ai.enrich.fetching import Page

MAX_TEXT: Final = 6000
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_SILENT: Final = frozenset({"script", "style", "template", "noscript", "svg", "head", "iframe", "object"})
_BLOCKS: Final = frozenset({"p", "div", "li", "tr", "br", "h1", "h2", "h3", "h4", "pre", "section", "article", "table"})
_TAG: Final = re.compile(r"<(/?[a-z][a-z0-9]{0,20}|!doctype|\?xml)")
_SPACE: Final = re.compile(r"[ \t\r\f\v]+")
_LINES: Final = re.compile(r"\n\s*\n+")
_HOLES: Final = re.compile("[^\n\t\x20-\x7e\xa1-\u1fff\u2010-\u2027\u2030-\u205e\u2100-\ud7ff\uf900-\ufffd]")
MAX_HTML: Final = 512 * 1024  # of a page; what follows is not read


def text_of(page: Page, most: int = MAX_TEXT) -> str:
    """What a page says, at most `most` characters. Scripts, styles, comments and attributes are no part of it."""
    said = page.body[:MAX_HTML].decode("utf-8", "replace")
    if page.media_type in _HTML:
        said = html.unescape("".join(_shown(said)))
    said = _LINES.sub("\n", _SPACE.sub(" ", _HOLES.sub(" ", said))).strip()
    return said if len(said) <= most else said[: most - 1] + "…"


def _shown(markup: str) -> Iterator[str]:
    """The text between tags, in one pass over it however it is written; what is never closed ends it."""
    lower, at = markup.lower(), 0
    while (start := markup.find("<", at)) >= 0:
        yield markup[at:start]
        if lower.startswith("<!--", start):
            end, at = (found := lower.find("-->", start + 4)), found + 3
        elif (tag := _TAG.match(lower, start)) is None:
            yield "<"
            at = end = start + 1
        else:
            end, at = (found := lower.find(">", tag.end())), found + 1
            if end >= 0 and tag[1] in _SILENT:
                end, at = (found := lower.find(f"</{tag[1]}", at)), found
            elif tag[1].lstrip("/") in _BLOCKS:
                yield "\n"
        if end < 0:
            return
    yield markup[at:]


def set_apart(text: str, what: str) -> str:
    """`text` between marks that nobody who wrote it can know: what is between them is data.

    `what` is a word of ours for it.
    """
    mark = secrets.token_hex(8)
    return f"<<data {mark}: {what}\n{text}\ndata {mark}>>\n"
