"""Where in a text something private stands."""

from __future__ import annotations

from typing import NamedTuple

from spectra.model.ai import Kind


class Span(NamedTuple):
    """`text[start:end]` is private. `certain`: its form alone says so, as that of an address or a vendor's key does."""

    start: int
    end: int
    kind: Kind
    certain: bool
