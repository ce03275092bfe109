"""Histograms and time lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from spectra.web.charts.timeline import MAX_SLOTS, Lane, Mark, Slot, Span, histogram, timeline
from tests.web.charts.reading import drawn

T0 = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_slots_lie_where_they_belong() -> None:
    """A day without any leaves a gap; the tallest is twice as tall as the half."""
    slots = [Slot(T0, T0 + DAY, 10, "/search?q=a"), Slot(T0 + 2 * DAY, T0 + 3 * DAY, 5)]
    chart = histogram("Seen", slots)
    first, second = drawn(chart.svg).xpath("//rect[@class='fill']")
    assert float(first.get("x")) == 0
    assert float(second.get("x")) == 480  # of 720
    assert float(first.get("height")) == 2 * float(second.get("height"))
    assert [row[0].text for row in chart.rows] == ["2026-03-03 00:00", "2026-03-01 00:00"]  # the newest first
    assert chart.rows[1][0].path == "/search?q=a"


def test_a_histogram_is_bounded() -> None:
    """The newest slots are drawn, however many there are."""
    slots = [Slot(T0 + i * DAY, T0 + (i + 1) * DAY, i) for i in range(MAX_SLOTS + 50)]
    assert len(histogram("x", slots).rows) == MAX_SLOTS
    assert histogram("x", []).rows == ()


def test_lanes_have_spans_from_when_to_when() -> None:
    """Each has its place and kind; marks go through all lanes; all of it is in the table."""
    lanes = [
        Lane(
            "22/tcp", (Span(T0, T0 + DAY, "openssh 8", "open"), Span(T0 + DAY, T0 + 4 * DAY, "openssh 9", "open", "/a"))
        ),
        Lane("80/tcp", (Span(T0 + 2 * DAY, T0 + 2 * DAY, "nginx", "closed"),), "/b"),
    ]
    chart = timeline("History", lanes, marks=[Mark(T0 + DAY, "scan", path="/c")], width=1000)
    root = drawn(chart.svg)
    spans = root.xpath("//rect[starts-with(@class, 'fill')]")
    assert [float(span.get("x")) for span in spans] == [220, 415, 610]  # a fifth of it is labels
    assert float(spans[2].get("width")) == 2  # a moment can be seen
    assert len(root.xpath("//line[@class='mark']")) == 1
    assert set(root.xpath("//a/@href")) == {"/a", "/b", "/c"}
    assert [[cell.text for cell in row][:2] for row in chart.rows] == [
        ["22/tcp", "openssh 8"],
        ["22/tcp", "openssh 9"],
        ["80/tcp", "nginx"],
        ["mark", "scan"],
    ]


def test_a_window_is_kept() -> None:
    """What is outside of `start` and `end` lies at the edge."""
    chart = timeline("x", [Lane("a", (Span(T0 - 9 * DAY, T0 + 9 * DAY, "b"),))], start=T0, end=T0 + DAY, width=100)
    (span,) = drawn(chart.svg).xpath("//rect[@class='fill']")
    assert (float(span.get("x")), float(span.get("width"))) == (22, 78)
    assert timeline("x", []).rows == ()


def test_ticks_are_round_moments() -> None:
    """Days where it is weeks, hours where it is a day."""
    weeks = histogram("x", [Slot(T0, T0 + 6 * DAY, 1)])
    assert drawn(weeks.svg).xpath("//text[@class='axis']/text()")[1:3] == ["2026-03-01", "2026-03-02"]
    hours = histogram("x", [Slot(T0, T0 + DAY, 1)])
    assert drawn(hours.svg).xpath("//text[@class='axis']/text()")[1:3] == ["03-01 00:00", "03-01 06:00"]
    years = histogram("x", [Slot(T0, T0 + 365 * 12 * DAY, 1)])
    assert drawn(years.svg).xpath("//text[@class='axis']/text()")[1:4] == ["2028", "2030", "2032"]
