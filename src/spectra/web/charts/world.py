"""A map of the world: countries shaded by how much is in them.

`world.json` is made by `scripts/make_world.py` of Natural Earth's outlines, which are in the public domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import msgspec
from markupsafe import Markup

from spectra.web.charts.bars import short_number
from spectra.web.charts.svg import Cell, Chart, drawing, link, number, shade, tag


class Country(NamedTuple):
    """A country by its ISO 3166-1 alpha-2 code, with its name, how many are there, and where a click leads."""

    code: str
    name: str
    value: int
    path: str = ""


class _World(msgspec.Struct, frozen=True):
    width: int
    height: int
    shapes: dict[str, list[list[int]]]
    dots: dict[str, tuple[int, int]]


_DOT: Final = 4


def world(title: str, countries: Sequence[Country], *, unit: str = "endpoints", note: str = "") -> Chart:
    """The more, the darker, by the logarithm; a country too small to be seen is a dot.

    The table has every country given, the fullest first; a code without a place on the map is only there.
    """
    known = _world()
    most = max((country.value for country in countries), default=0)
    given = {country.code: country for country in countries}
    lands = [_shape(known, code) for code in sorted((known.shapes.keys() | given.keys()) - given.keys())]
    shapes = [tag("path", d="".join(lands), class_="h0")]
    links: list[Markup] = []
    for country in sorted(countries, key=lambda one: one.value):
        if not (drawn := _drawn(known, country.code, f"h{shade(country.value, most)}")):
            continue
        if not country.path:
            shapes.append(drawn)
            continue
        label = f"{country.name or country.code}: {short_number(country.value)} {unit}"
        links.append(link(country.path, label, drawn, reached=False))
    svg = drawing("world", title, (known.width, known.height), shapes, links)
    rows = tuple(
        (Cell(one.name or one.code, one.path), Cell(one.code), Cell(short_number(one.value), number=True))
        for one in sorted(countries, key=lambda one: (-one.value, one.code))
    )
    return Chart(svg, ("country", "code", unit), rows, title, note)


def _drawn(known: _World, code: str, kind: str) -> Markup | None:
    if code in known.shapes:
        return tag("path", d=_shape(known, code), class_=kind)
    if code in known.dots:
        x, y = known.dots[code]
        return tag("circle", cx=x, cy=y, r=_DOT, class_=kind)
    return None


def _shape(known: _World, code: str) -> str:
    return "".join(_ring(ring) for ring in known.shapes[code])


def _ring(ring: Sequence[int]) -> str:
    """`M` to the first point, then steps; a minus sign separates as well as a blank."""
    steps = " ".join(number(value) for value in ring[2:]).replace(" -", "-")
    return f"M{ring[0]} {ring[1]}l{steps}z"


@cache
def _world() -> _World:
    raw = files("spectra.web.charts").joinpath("world.json").read_bytes()
    return msgspec.json.decode(raw, type=_World)
