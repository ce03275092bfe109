"""Lines into items: each once, the most important first, as many as there is room for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from spectra.ai.retrieval.context import Item
from spectra.ai.retrieval.lines import Focus, Line
from spectra.model.ai import Fragment, Kind, Private

_WIDEST: Final = {
    Kind.ADDRESS: 39,
    Kind.NETWORK: 43,
    Kind.MAC: 17,
    Kind.EMAIL: 48,
    Kind.USER: 24,
    Kind.PATH: 64,
    Kind.SECRET: 24,
    Kind.ID: 24,
}
"""Bytes that a pseudonym of a kind may take at most; one of a name has as many labels as that, and one more."""
_LABEL: Final = 8
"""Bytes of a label of a name's pseudonym and its dot; `invalid` comes after them."""
_SKIPPED: Final = 60
"""Lines without room after which no shorter one is looked for."""


def assembled(lines: Iterable[Line], focus: Focus, budget: int) -> tuple[tuple[Item, ...], int]:
    """The items that `budget` bytes hold, the most important first, and how many lines had no room.

    A line with the words of another one is that one. What is about the question is more important.
    """
    boosted = ((line.score + focus.boost(line.fragment.text), line) for line in lines)
    ordered = sorted(boosted, key=lambda one: (-one[0], one[1].record, one[1].fragment.text))
    items: list[Item] = []
    told: set[str] = set()
    left, left_out = budget, 0
    for score, line in ordered:
        text = line.fragment.text
        if text in told:
            continue
        told.add(text)
        cost = size(line.fragment) + len(f"[F{len(items) + 1}] \n")
        if cost > left or left_out > _SKIPPED:
            left_out += 1
            continue
        left -= cost
        items.append(Item(f"F{len(items) + 1}", line.record, line.title, line.fragment, round(score, 2)))
    return tuple(items), left_out


def size(fragment: Fragment) -> int:
    """Bytes (UTF-8) that a fragment takes at most, as it is or with pseudonyms in the place of its private values."""
    return sum(_widest(part) if isinstance(part, Private) else len(part.encode()) for part in fragment.parts)


def _widest(private: Private) -> int:
    own = len(private.value.encode())
    if private.kind == Kind.HOSTNAME:
        return max(own, _LABEL * (private.value.count(".") + 2))
    return max(own, 15 if private.kind == Kind.ADDRESS and ":" not in private.value else _WIDEST[private.kind])
