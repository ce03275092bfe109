"""Sparklines."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spectra.web.charts.sparkline import sparkline
from tests.web.charts.reading import drawn


def test_a_line_goes_up_with_its_values() -> None:
    """The largest is on top, the smallest at the bottom; the title says where it begins and ends."""
    root = drawn(sparkline("Hosts", [1, 5, 3]).svg)
    ys = [float(point.split(",")[1]) for point in root.find("polyline").get("points").split()]
    assert ys[1] < ys[2] < ys[0]
    assert root[0].text == "Hosts: from 1 to 3"


@pytest.mark.parametrize("values", [[], [7.5], [2, 2, 2]])
def test_few_values_are_drawn_too(values: list[float]) -> None:
    """None, one, and many that are the same; a row each."""
    chart = sparkline("x", values)
    assert len(chart.rows) == len(values)
    drawn(chart.svg)


def test_times_name_the_rows() -> None:
    """Where they are known."""
    chart = sparkline("x", [4], times=[datetime(2026, 3, 1, 12, tzinfo=UTC)])
    assert [cell.text for cell in chart.rows[0]] == ["2026-03-01 12:00", "4"]
