"""Where in a text something private stands."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from spectra.model.ai import Kind


class Span(NamedTuple):
    """`text[start:end]` is private. `certain`: its form alone says so, as that of an address or a vendor's key does."""

    start: int
    end: int
    kind: Kind
    certain: bool


Word = tuple[int, str]
"""Where a word begins, and the word in lower case."""
_WORDS: Final = re.compile(r"[^\W\d_]+")


def words_of(low: str) -> list[Word]:
    """Every run of letters in a text of lower case."""
    return [(match.start(), match[0]) for match in _WORDS.finditer(low)]
