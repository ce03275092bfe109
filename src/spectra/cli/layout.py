"""Tables that fit: columns sized from the first rows, cut with `…` where the terminal is narrow, never wrapped.

Written here because rich's table wraps a cell before it cuts one, and needs every row before it prints the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

GAP = 2
MIN_FLEXIBLE = 8
READABLE = 18
READABLE_MAIN = 28
MAX_FLEXIBLE = 72
SAMPLE_ROWS = 500
INDENT = " "


@dataclass(frozen=True)
class Slot:
    """A column on the screen. `flexible` ones are cut first, of those the ones not `main` before the others; `optional`
    ones are left out where space ends.
    """

    header: str
    flexible: bool = False
    optional: bool = False
    right: bool = False
    style: str = ""
    main: bool = False


def fit(slots: Sequence[Slot], natural: Sequence[int], width: int) -> list[int]:
    """The width of each column in cells, 0 for one that is left out; with gaps and indent they fill at most `width`."""
    widths = [min(n, MAX_FLEXIBLE) if s.flexible else n for s, n in zip(slots, natural, strict=True)]
    room = width - len(INDENT)
    main = [i for i, s in enumerate(slots) if s.flexible and s.main]
    others = [i for i, s in enumerate(slots) if s.flexible and not s.main]
    # Down to what can still be read first, then to the least.
    for columns, least in ((others, READABLE), (main, READABLE_MAIN), (others, MIN_FLEXIBLE), (main, MIN_FLEXIBLE)):
        _shrink(columns, widths, room, least)
    for index in reversed(range(len(slots))):
        if _total(widths) <= room:
            break
        if slots[index].optional:
            widths[index] = 0
    if _total(widths) < room:  # leaving a column out may have freed more than was needed
        _regrow(slots, widths, natural, room)
    while _total(widths) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    shown = [w for w in widths if w]
    return sum(shown) + GAP * max(len(shown) - 1, 0)


def _shrink(columns: Sequence[int], widths: list[int], room: int, least: int) -> None:
    """Cut the widest of `columns` until all fits or none is wider than `least`."""
    while (excess := _total(widths) - room) > 0:
        candidates = [i for i in columns if widths[i] > least]
        if not candidates:
            return
        widest = max(candidates, key=lambda i: widths[i])
        others = [widths[i] for i in candidates if i != widest]
        floor = max([least, *(w for w in others if w < widths[widest])])
        widths[widest] = max(widths[widest] - excess, floor, least) if floor < widths[widest] else floor - 1


def _regrow(slots: Sequence[Slot], widths: list[int], natural: Sequence[int], room: int) -> None:
    for index, slot in enumerate(slots):
        if slot.flexible and widths[index]:
            want = min(natural[index], MAX_FLEXIBLE) - widths[index]
            widths[index] += max(min(want, room - _total(widths)), 0)


def cut(text: Text, width: int, *, right: bool = False) -> Text:
    """`text` in exactly `width` cells, cut with `…` or padded."""
    shown = text.copy()
    shown.truncate(width, overflow="ellipsis")
    padding = " " * max(width - shown.cell_len, 0)
    shown = shown.copy()
    if right:
        shown.pad_left(len(padding))
    else:
        shown.append(padding)
    return shown


def lines(slots: Sequence[Slot], rows: Iterable[Sequence[Text]], width: int) -> Iterator[Text]:
    """The header and one line per row, nothing at all where there is no row.

    Rows after the first `SAMPLE_ROWS` are cut to the widths those asked for.
    """
    from rich.text import Text  # lazy: `spectra --help` does not draw tables

    stream = iter(rows)
    sample = list(islice(stream, SAMPLE_ROWS))
    if not sample:
        return
    natural = [_natural(slot, [row[index].cell_len for row in sample]) for index, slot in enumerate(slots)]
    widths = fit(slots, natural, width)
    header = [Text(slot.header.upper(), style="bold") for slot in slots]
    for row in chain([header], sample, stream):
        yield _line(slots, row, widths)


def _natural(slot: Slot, cells: list[int]) -> int:
    """The width a column asks for; none for an optional one that is empty as far as can be seen."""
    longest = max(cells, default=0)
    return 0 if slot.optional and not longest else max(len(slot.header), longest)


def _line(slots: Sequence[Slot], row: Sequence[Text], widths: Sequence[int]) -> Text:
    from rich.text import Text

    line = Text(INDENT, no_wrap=True)
    shown = [(slot, cell, w) for slot, cell, w in zip(slots, row, widths, strict=True) if w]
    for index, (slot, cell, w) in enumerate(shown):
        if slot.style and not cell.style:
            cell.stylize(slot.style)
        if index:
            line.append(" " * GAP)
        line.append_text(cut(cell, w, right=slot.right))
    line.rstrip()
    return line
