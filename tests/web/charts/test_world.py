"""The map of the world."""

from __future__ import annotations

from importlib.resources import files

import msgspec

from spectra.web.charts.world import Country, world
from tests.web.charts.reading import drawn


def test_countries_are_shaded_and_lead_somewhere() -> None:
    """The fullest is the darkest; a small one is a dot; what is on no map is in the table."""
    given = [Country("FR", "France", 1000, "/f"), Country("SG", "Singapore", 3, "/s"), Country("XK", "Kosovo", 2)]
    chart = world("World", given)
    root = drawn(chart.svg)
    assert [(a.get("href"), a[1].tag, a[1].get("class")) for a in root.iter("a")] == [
        ("/s", "circle", "h2"),
        ("/f", "path", "h8"),
    ]
    assert root.xpath("//a/title/text()")[1] == "France: 1\u202f000 endpoints"
    assert [[cell.text for cell in row] for row in chart.rows] == [
        ["France", "FR", "1\u202f000"],
        ["Singapore", "SG", "3"],
        ["Kosovo", "XK", "2"],
    ]


def test_the_map_is_small_and_all_of_it_can_be_drawn() -> None:
    """45 KB at most, and every country has its outline or its dot."""
    assert len(files("spectra.web.charts").joinpath("world.json").read_bytes()) <= 45 * 1024
    svg = world("World", []).svg
    assert len(svg) < 60_000
    (lands,) = drawn(svg).xpath("//path/@d")
    assert lands.count("M") > 200
    # An outline that crossed the 180th meridian would lie across the whole map.
    world_of = msgspec.json.decode(files("spectra.web.charts").joinpath("world.json").read_bytes())
    steps = [abs(x) for rings in world_of["shapes"].values() for ring in rings for x in ring[2::2]]
    assert max(steps) < world_of["width"] / 8
