"""Time from left to right: how many by hour, day, week or month; and what was so from when to when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from markupsafe import Markup

from spectra.web.charts.bars import short_number
from spectra.web.charts.svg import Cell, Chart, drawing, fitted, link, rect, short, tag, text

_FOOT: Final = 20.0
_LANE: Final = 26.0
MAX_SLOTS: Final = 400


class Slot(NamedTuple):
    """How many between `start` and `end`; `path` is where a click leads."""

    start: datetime
    end: datetime
    value: float
    path: str = ""


class Span(NamedTuple):
    """What was so from `start` to `end`. `kind` is a class (`sev-high`, `st-bad`, `open`, `closed`), `path` a link."""

    start: datetime
    end: datetime
    label: str
    kind: str = ""
    path: str = ""


class Mark(NamedTuple):
    """What happened at one moment; drawn as a tick through all lanes."""

    at: datetime
    label: str
    kind: str = ""
    path: str = ""


class Lane(NamedTuple):
    """One line of a time line, such as an endpoint: its name and what was so there, in order of time."""

    label: str
    spans: tuple[Span, ...]
    path: str = ""


def histogram(
    title: str,
    slots: Sequence[Slot],
    *,
    unit: str = "endpoints",
    width: float = 720,
    height: float = 140,
    note: str = "",
) -> Chart:
    """Upright bars over time; slots that are not given have nothing. At most 400 slots are drawn, the newest."""
    shown = sorted(slots)[-MAX_SLOTS:]
    if not shown:
        return Chart(drawing("histogram", f"{title}: nothing", (width, height), ()), ("from", unit), (), title, note)
    axis = _Axis(shown[0].start, max(slot.end for slot in shown), 0.0, width)
    most = max(slot.value for slot in shown) or 1
    room = height - _FOOT - 14
    shapes: list[str] = [text(0, 10, f"up to {short(most)} {unit}", class_="axis")]
    links: list[str] = []
    for slot in shown:
        left, right = axis.at(slot.start), axis.at(slot.end)
        tall = max(room * slot.value / most, 1.0 if slot.value else 0.0)
        at = (left, height - _FOOT - tall, max(right - left - 1, 0.8), tall)
        shapes.append(rect(*at, class_="fill"))
        if slot.path:
            label = f"{_stamp(slot.start)}: {short_number(slot.value)} {unit}"
            hit = rect(left, 14, max(right - left, 1.0), height - _FOOT - 14, class_="hit")
            links.append(link(slot.path, label, hit, reached=False))
    shapes += axis.ticks(height)
    rows = tuple((Cell(_stamp(s.start), s.path), Cell(short_number(s.value), number=True)) for s in reversed(shown))
    return Chart(drawing("histogram", title, (width, height), shapes, links), ("from", unit), rows, title, note)


def timeline(
    title: str,
    lanes: Sequence[Lane],
    *,
    marks: Sequence[Mark] = (),
    start: datetime | None = None,
    end: datetime | None = None,
    width: float = 720,
    heading: str = "what",
) -> Chart:
    """Lanes of spans below one another, over the same time (`start` to `end`, else all that is given), with `marks`.

    The table has a row a span: lane, what, from, until; and one a mark.
    """
    moments = [m for lane in lanes for span in lane.spans for m in (span.start, span.end)] + [m.at for m in marks]
    columns = (heading, "state", "from", "until")
    if not moments:
        return Chart(drawing("timeline", f"{title}: nothing", (width, _LANE), ()), columns, (), title)
    height = len(lanes) * _LANE + _FOOT + 8
    axis = _Axis(start or min(moments), end or max(moments), width * 0.22, width)
    shapes: list[str] = []
    links: list[str] = []
    for place, lane in enumerate(lanes):
        _draw(lane, place * _LANE + 4, axis, shapes, links)
    for mark in marks:
        x = axis.at(mark.at)
        shapes.append(tag("line", x1=x, x2=x, y1=0, y2=height - _FOOT, class_=f"mark {mark.kind}".strip()))
        if mark.path:
            hit = rect(x - 3, 0, 6, height - _FOOT, class_="hit")
            links.append(link(mark.path, f"{_stamp(mark.at)}: {mark.label}", hit, reached=False))
    shapes += axis.ticks(height)
    svg = drawing("timeline", title, (width, height), shapes, links)
    return Chart(svg, columns, (*_span_rows(lanes), *_mark_rows(marks)), title)


def _draw(lane: Lane, y: float, axis: _Axis, shapes: list[str], links: list[str]) -> None:
    shapes.append(text(0, y + 14, fitted(lane.label, axis.left - 6), class_="label"))
    shapes.append(rect(axis.left, y + 2, axis.right - axis.left, 16, rx=2, class_="rail"))
    if lane.path:
        links.append(link(lane.path, lane.label, rect(0, y, axis.left - 4, 20, rx=2, class_="hit"), reached=False))
    for span in lane.spans:
        left, right = axis.at(span.start), axis.at(span.end)
        long = max(right - left, 2.0)
        inside = fitted(span.label, long - 6) if long > 40 else ""
        shapes.append(rect(left, y + 2, long, 16, rx=2, class_=f"fill {span.kind}".strip()))
        if inside:
            shapes.append(text(left + 4, y + 14, inside, class_="inside"))
        if span.path:
            label = f"{lane.label}: {span.label}, {_stamp(span.start)} to {_stamp(span.end)}"
            links.append(link(span.path, label, rect(left, y + 1, long, 18, class_="hit"), reached=False))


def _span_rows(lanes: Sequence[Lane]) -> list[tuple[Cell, ...]]:
    return [
        (Cell(lane.label, lane.path), Cell(span.label, span.path), Cell(_stamp(span.start)), Cell(_stamp(span.end)))
        for lane in lanes
        for span in lane.spans
    ]


def _mark_rows(marks: Sequence[Mark]) -> list[tuple[Cell, ...]]:
    return [(Cell("mark"), Cell(mark.label, mark.path), Cell(_stamp(mark.at)), Cell("")) for mark in marks]


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


_STEPS: Final = (
    timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7),
    timedelta(days=30), timedelta(days=91),
)  # fmt: skip
_MOST_TICKS: Final = 7


class _Axis:
    """Where a moment is, between `left` and `right`."""

    def __init__(self, start: datetime, end: datetime, left: float, right: float) -> None:
        self._start = start
        self._long = max((end - start).total_seconds(), 1.0)
        self.left = left
        self.right = right

    def at(self, moment: datetime) -> float:
        """The place of a moment; what is outside lies at the end."""
        part = (moment - self._start).total_seconds() / self._long
        return self.left + (self.right - self.left) * min(max(part, 0.0), 1.0)

    def ticks(self, height: float) -> list[Markup]:
        """A few moments in round steps, with their names at the bottom."""
        made: list[Markup] = []
        for moment, name in self._round():
            x = self.at(moment)
            anchor = "end" if x > self.right - 30 else "start" if x < self.left + 30 else "middle"
            made.append(tag("line", x1=x, x2=x, y1=height - _FOOT, y2=height - _FOOT + 4, class_="tick"))
            made.append(text(x, height - 4, name, class_="axis", text_anchor=anchor))
        return made

    def _round(self) -> list[tuple[datetime, str]]:
        fits = (step.total_seconds() for step in _STEPS if self._long / step.total_seconds() <= _MOST_TICKS)
        step = next(fits, None)
        if step is None:
            return self._years()
        first = -(-self._start.timestamp() // step) * step
        named = "%Y-%m-%d" if step >= 86400 else "%m-%d %H:%M"
        moments = [datetime.fromtimestamp(first + i * step, UTC) for i in range(_MOST_TICKS + 1)]
        return [(moment, moment.strftime(named)) for moment in moments if self._holds(moment)]

    def _years(self) -> list[tuple[datetime, str]]:
        first = self._start.astimezone(UTC).year + 1
        last = (self._start.astimezone(UTC) + timedelta(seconds=self._long)).year
        step = next((n for n in (1, 2, 5, 10, 20, 50) if (last - first) / n <= _MOST_TICKS), 1000)
        years = (datetime(year, 1, 1, tzinfo=UTC) for year in range(-(-first // step) * step, last + 1, step))
        return [(year, f"{year:%Y}") for year in years if self._holds(year)]

    def _holds(self, moment: datetime) -> bool:
        return (moment - self._start).total_seconds() <= self._long
