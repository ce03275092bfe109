"""What in a text that nobody labelled is private: found by its form, and by the words around it.

Every pattern is bounded, so that the time grows with the text alone. Characters that only look different (full width,
marks without width) are read as what they look like.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from spectra.ai.privacy import keys, numbers, people
from spectra.ai.privacy.matching import lowered
from spectra.ai.privacy.span import Span, words_of
from spectra.model.ai import Fragment, Label, Part, Private, local

__all__ = ("MOST", "Span", "certain", "find", "fragment_of")

MOST: Final = 1_000_000
"""Characters of the longest text that is looked through."""
_NO_WIDTH: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_LOOKS: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    **{0x3002: ".", 0xFE52: ".", 0x2024: ".", 0x2236: ":", 0xFE55: ":", 0xA789: ":", 0x2215: "/", 0x2044: "/"},
    **dict.fromkeys((8208, 8209, 8210, 8211, 8722), "-"),
    **dict.fromkeys((8220, 8221, 8222, 171, 187), '"'),
    **dict.fromkeys((8216, 8217, 8218), "'"),
    **dict.fromkeys((160, 8199, 8239), " "),
}


def find(text: str) -> list[Span]:
    """The private values in `text`, in order, none over another. Raises `ValueError` beyond `MOST` characters."""
    return _found(text, sure_alone=False)


def certain(text: str) -> list[Span]:
    """Those of `find` whose form alone says what they are: addresses, networks, hardware addresses, keys."""
    return _found(text, sure_alone=True)


def fragment_of(text: str) -> Fragment:
    """`text` as a `SANITIZED` fragment; `LOCAL_ONLY` where it is too long to be looked through."""
    if len(text) > MOST:
        return local(text)
    parts: list[Part] = []
    end = 0
    for span in find(text):
        if span.start > end:
            parts.append(text[end : span.start])
        parts.append(Private(span.kind, text[span.start : span.end]))
        end = span.end
    if end < len(text) or not parts:
        parts.append(text[end:])
    return Fragment(tuple(parts), Label.SANITIZED)


def _found(text: str, *, sure_alone: bool) -> list[Span]:
    if len(text) > MOST:
        raise ValueError(f"a text of more than {MOST} characters is not looked through")
    plain, places = _plain(text)
    spans = [*numbers.found(plain), *keys.found(plain)]
    if sure_alone:
        spans = [span for span in spans if span.certain]
    else:
        low = lowered(plain)
        words = words_of(low)
        spans += [*numbers.guessed(plain), *keys.guessed(plain, words), *people.guessed(plain, low, words)]
    merged = _merged(spans)
    if places is None:
        return merged
    return [span._replace(start=places[span.start], end=places[span.end - 1] + 1) for span in merged]


def _plain(text: str) -> tuple[str, list[int] | None]:
    """`text` as it looks, and where each of its characters stands in `text`, if not at its own place."""
    if text.isascii():
        return text, None
    if not _NO_WIDTH.search(text):
        return text.translate(_LOOKS), None
    places = [place for place, char in enumerate(text) if not _NO_WIDTH.match(char)]
    return "".join(text[place] for place in places).translate(_LOOKS), places


def _merged(spans: Iterable[Span]) -> list[Span]:
    """In order; of two that lie over each other, both as one of the longer one's kind."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, -one.end, not one.certain)):
        last = kept[-1] if kept else None
        if last is None or span.start >= last.end:
            kept.append(span)
        elif span.end > last.end:
            longer = max(last, span, key=lambda one: one.end - one.start)
            kept[-1] = Span(last.start, span.end, longer.kind, last.certain or span.certain)
    return kept
