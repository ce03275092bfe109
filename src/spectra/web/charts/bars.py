"""Bars: values side by side, each with its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from spectra.web.charts.svg import Cell, Chart, drawing, fitted, link, rect, short, tag, text

_ROW: Final = 24.0
_COUNT: Final = 52.0


class Bar(NamedTuple):
    """A value and what it is called; `path` is where a click leads, `kind` a class such as `sev-high`.

    `chosen`: it is one of what was asked for. `hint` says what a click does, where the label does not.
    """

    label: str
    value: float
    path: str = ""
    kind: str = ""
    chosen: bool = False
    hint: str = ""


def bars(
    title: str, items: Sequence[Bar], *, heading: str = "value", unit: str = "count", width: float = 300, note: str = ""
) -> Chart:
    """Horizontal bars in the order given, the longest as long as there is room; `width` in units of the drawing.

    A row is 24 units high; a drawing is as wide as its container. `heading` and `unit` name the table's columns.
    """
    most = max((item.value for item in items), default=0) or 1
    label_width = width * 0.42
    room = width - label_width - _COUNT
    shapes: list[str] = []
    links: list[str] = []
    for place, item in enumerate(items):
        y = place * _ROW
        shapes.append(_row(item, y, label_width, room, room * item.value / most))
        if item.path:
            links.append(_link(item, y, width, unit))
    svg = drawing("bars", title, (width, max(len(items), 1) * _ROW), shapes, links)
    rows = tuple((Cell(item.label, item.path), Cell(short_number(item.value), number=True)) for item in items)
    return Chart(svg, (heading, unit), rows, title, note)


def short_number(value: float) -> str:
    """As a table has it: whole where it is."""
    return f"{value:,.0f}".replace(",", "\u202f") if float(value).is_integer() else f"{value:.2f}"


def _row(item: Bar, y: float, label_width: float, room: float, length: float) -> Markup:
    said = f"✓ {item.label}" if item.chosen else item.label
    return tag(
        "g",
        text(0, y + 16, fitted(said, label_width - 4), class_="label"),
        rect(label_width, y + 5, room, 14, rx=2, class_="rail"),
        rect(label_width, y + 5, max(length, 1.0 if item.value else 0.0), 14, rx=2, class_=f"fill {item.kind}".strip()),
        text(label_width + room + 6, y + 16, short(item.value), class_="count"),
        class_="row chosen" if item.chosen else "row",
    )


def _link(item: Bar, y: float, width: float, unit: str) -> Markup:
    label = f"{item.hint or item.label}: {short_number(item.value)} {unit}"
    return link(item.path, label, rect(0, y + 1, width, _ROW - 2, rx=3, class_="hit"))
