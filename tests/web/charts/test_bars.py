"""Bars and their table."""

from __future__ import annotations

from spectra.web.charts.bars import Bar, bars, short_number
from tests.web.charts.reading import drawn


def test_bars_are_as_long_as_their_values() -> None:
    """The longest has the room there is, half of it half; nothing has no length."""
    chart = bars("Ports", [Bar("22", 40), Bar("80", 20), Bar("443", 0)])
    fills = drawn(chart.svg).xpath("//rect[contains(@class, 'fill')]/@width")
    longest = float(fills[0])
    assert [float(fill) / longest for fill in fills] == [1, 0.5, 0]


def test_the_table_says_the_same() -> None:
    """With the whole label and the whole number, and the same link."""
    chart = bars("Titles", [Bar("x" * 200, 12_345, "/search?q=a", chosen=True, hint="Take away")], heading="title")
    assert chart.columns == ("title", "count")
    assert [(cell.text, cell.path) for cell in chart.rows[0]] == [("x" * 200, "/search?q=a"), ("12\u202f345", "")]
    root = drawn(chart.svg)
    assert root.xpath("//a/@aria-label") == ["Take away: 12\u202f345 count"]
    assert root.xpath("//text[@class='label']/text()")[0].startswith("✓ x")


def test_nothing_is_drawn_of_nothing() -> None:
    """An empty chart is still an image with a title."""
    chart = bars("Ports", [])
    assert chart.rows == ()
    assert drawn(chart.svg)[0].text == "Ports"


def test_numbers_of_tables() -> None:
    """Whole where they are, two decimals where not."""
    assert [short_number(n) for n in (1_000_000, 2.0, 0.123)] == ["1\u202f000\u202f000", "2", "0.12"]
