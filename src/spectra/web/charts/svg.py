"""SVG elements as markup: everything that goes in is escaped, and numbers are short.

No chart has a style of its own: classes (`static/app.css`) give colours in both themes, geometry stands in attributes.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log
from typing import Final, NamedTuple

from markupsafe import Markup, escape

Attribute = str | float | int | None
CHAR: Final = 6.6
"""About how wide a character of a label is, in units of the drawing."""


class Cell(NamedTuple):
    """One cell of the table beneath a chart: what it says, and a path of ours that it leads to (or nothing)."""

    text: str
    path: str = ""
    number: bool = False


class Chart(NamedTuple):
    """A drawing, and the same as a table: `columns` are its headings, each row has a cell for each.

    A template shows it by `{{ charts.figure(chart) }}` of charts.html. `note` says what is not in it, or is estimated.
    """

    svg: Markup
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    note: str = ""


def tag(name: str, /, *children: str, **attributes: Attribute) -> Markup:
    """An element. `class_` is `class`, other underscores are hyphens, what is None is left out; text is escaped."""
    # Put together as text, each part escaped: Markup.format takes ten times as long, and a page has hundreds of these.
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(escape(child) for child in children)
    element = f"<{name}{given}>{inside}</{name}>" if inside else f"<{name}{given}/>"
    return Markup(element)  # noqa: S704 - escaped above


def _value(value: Attribute) -> str:
    return number(value) if isinstance(value, float | int) else escape(str(value))


def number(value: float) -> str:
    """At most two decimals, none where there are none."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def drawing(
    kind: str,
    title: str,
    size: tuple[float, float],
    shapes: Iterable[str],
    links: Iterable[str] = (),
) -> Markup:
    """The whole `<svg>`: `shapes` are one image that is called `title`; `links` lie over it.

    What is in an image is not there for a reader of screens, so links cannot be part of it.
    """
    told = (tag("title", title),)
    over = list(links)
    box = f"0 0 {number(size[0])} {number(size[1])}"
    if not over:
        return tag("svg", *told, *shapes, class_=f"chart chart-{kind}", viewBox=box, role="img")
    image = tag("g", *told, *shapes, role="img")
    return tag("svg", image, *over, class_=f"chart chart-{kind}", viewBox=box)


def link(path: str, label: str, *shapes: str, reached: bool = True) -> Markup:
    """A link over a part of the drawing, called `label`. Not `reached` by the tab key: the table beneath has it too."""
    named = {"aria_label": label} if reached else {"tabindex": -1}
    return tag("a", tag("title", label), *shapes, href=own(path), **named)


def own(path: str) -> str:
    """A path of ours; raises `ValueError` for what leads elsewhere."""
    if not path.startswith("/") or path.startswith(("//", "/\\")):
        raise ValueError("a chart leads only to paths of ours")
    return path


def rect(x: float, y: float, width: float, height: float, **attributes: Attribute) -> Markup:
    """A rectangle; nothing is narrower than it may be."""
    return tag("rect", x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), **attributes)


def text(x: float, y: float, said: str, **attributes: Attribute) -> Markup:
    """A label whose left end, or what `text_anchor` says, is at (x, y)."""
    return tag("text", escape(said), x=x, y=y, **attributes)


def fitted(said: str, width: float) -> str:
    """`said`, cut to about `width` units of the drawing."""
    most = max(int(width / CHAR), 2)
    return said if len(said) <= most else f"{said[: most - 1]}…"


def short(value: float) -> str:
    """A count in few characters: 950, 1.2k, 31k, 4.5M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.1f}".removesuffix(".0") + unit if scaled < 9.95 else f"{scaled:.0f}{unit}"
    return number(float(value))


def shade(value: float, most: float, shades: int = 8) -> int:
    """1..`shades` by the logarithm of `value` against `most`, 0 for nothing: counts of networks lie far apart."""
    if value <= 0 or most <= 0:
        return 0
    return 1 + min(int(shades * log(1 + value) / log(1 + most) * 0.999), shades - 1) if most > 1 else shades
