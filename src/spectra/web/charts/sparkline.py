"""A line without axes, in the height of a line of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from spectra.web.charts.bars import short_number
from spectra.web.charts.svg import Cell, Chart, drawing, number, tag

_WIDTH: Final = 120.0
_HEIGHT: Final = 28.0


def sparkline(
    title: str, values: Sequence[float], *, times: Sequence[datetime] = (), heading: str = "when", unit: str = "count"
) -> Chart:
    """`values` at equal distances, the last one with a dot; `times` (as many, or none) name the rows of the table."""
    low, high = min(values, default=0), max(values, default=0)
    spread = (high - low) or 1
    step = _WIDTH / max(len(values) - 1, 1)
    points = [(i * step, _HEIGHT - 3 - (_HEIGHT - 6) * (value - low) / spread) for i, value in enumerate(values)]
    line = " ".join(f"{number(round(x, 1))},{number(round(y, 1))}" for x, y in points)
    shapes = [tag("polyline", points=line, class_="line")] if len(points) > 1 else []
    if points:
        shapes.append(tag("circle", cx=points[-1][0], cy=points[-1][1], r=2.5, class_="dot"))
    told = f"{title}: from {short_number(values[0])} to {short_number(values[-1])}" if values else f"{title}: nothing"
    names = [f"{at:%Y-%m-%d %H:%M}" for at in times] or [str(i + 1) for i in range(len(values))]
    rows = tuple(
        (Cell(name), Cell(short_number(value), number=True)) for name, value in zip(names, values, strict=True)
    )
    return Chart(drawing("sparkline", told, (_WIDTH + 4, _HEIGHT), shapes), (heading, unit), rows, title)
