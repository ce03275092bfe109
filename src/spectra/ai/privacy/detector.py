"""What in a text that nobody labelled is private: found by its form, and by the words around it."""

from __future__ import annotations

from typing import NamedTuple

from spectra.model.ai import Fragment, Kind


class Span(NamedTuple):
    """`text[start:end]` is private. `certain`: its form alone says so, as that of an address or a vendor's key does."""

    start: int
    end: int
    kind: Kind
    certain: bool


def find(text: str) -> list[Span]:
    """The private values in `text`, in order, none over another."""
    raise NotImplementedError


def fragment_of(text: str) -> Fragment:
    """`text` as a `SANITIZED` fragment; `LOCAL_ONLY` where it is too long to be looked through."""
    raise NotImplementedError
