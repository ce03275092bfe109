"""Write `web/charts/world.json`: the outlines of countries, projected, as small whole numbers.

    python scripts/make_world.py COUNTRIES-110M.json COUNTRIES-50M.json CODES.json

The first two are of the npm package world-atlas 2.0.2 (TopoJSON of Natural Earth, which is in the public domain:
https://www.naturalearthdata.com/about/terms-of-use/), the third is `codes.json` of i18n-iso-countries: rows of alpha-2,
alpha-3 and the number of ISO 3166-1, from which only those codes are taken. What is too small to be in the coarse file
becomes a dot at the middle of its largest part in the fine one. The projection is Equal Earth (Šavrič, Patterson and
Jenny 2018, https://doi.org/10.1080/13658816.2018.1504949), so that areas compare; Antarctica is left out.

    {"width": 1000, "height": 440, "shapes": {"FR": [[x, y, dx, dy, ...], ...]}, "dots": {"SG": [x, y]}}
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "src" / "spectra" / "web" / "charts" / "world.json"
WIDTH = 1000
NORTH, SOUTH = 84.0, -57.0  # degrees of latitude
A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796
SMALLEST = 3  # points of an outline that is worth drawing

Point = tuple[float, float]


def equal_earth(longitude: float, latitude: float) -> Point:
    """The projected place of a point in degrees, upwards positive, on a sphere of radius 1."""
    theta = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(latitude)))
    t2 = theta * theta
    t6 = t2**3
    slope = 3 * (9 * A4 * t6 * t2 + 7 * A3 * t6 + 3 * A2 * t2 + A1)
    x = 2 * math.sqrt(3) * math.radians(longitude) * math.cos(theta) / slope
    return x, theta * (A4 * t6 * t2 + A3 * t6 + A2 * t2 + A1)


SCALE = WIDTH / (2 * equal_earth(180, 0)[0])
TOP = equal_earth(0, NORTH)[1]
HEIGHT = round((TOP - equal_earth(0, SOUTH)[1]) * SCALE)


def placed(point: Point) -> tuple[int, int]:
    """A point in degrees on the grid of the drawing."""
    x, y = equal_earth(*point)
    return round(WIDTH / 2 + x * SCALE), round((TOP - y) * SCALE)


def arcs(topology: dict[str, Any]) -> list[list[Point]]:
    """The arcs in degrees: their points are differences on a grid."""
    (kx, ky), (dx, dy) = topology["transform"]["scale"], topology["transform"]["translate"]
    made: list[list[Point]] = []
    for arc in topology["arcs"]:
        x = y = 0
        points: list[Point] = []
        for stepx, stepy in arc:
            x, y = x + stepx, y + stepy
            points.append((x * kx + dx, y * ky + dy))
        made.append(points)
    return made


def rings(geometry: dict[str, Any], lines: list[list[Point]]) -> Iterator[list[Point]]:
    """The outer rings of a country; holes are other countries, drawn over it."""
    parts: list[list[list[int]]] = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    for part in parts:
        ring: list[Point] = []
        for index in part[0]:
            line = lines[index] if index >= 0 else lines[~index][::-1]
            ring.extend(line[1:] if ring else line)
        yield ring


def halves(ring: list[Point]) -> Iterator[list[Point]]:
    """A ring that crosses the 180th meridian as its parts on either side, any other as it is."""
    unrolled: list[Point] = []
    for longitude, latitude in ring:
        last = unrolled[-1][0] if unrolled else longitude
        unrolled.append((longitude - 360 * round((longitude - last) / 360), latitude))
    for turn in (-360, 0, 360):
        part = [(x + turn, y) for x, y in unrolled]
        for edge, sign in ((180.0, 1), (-180.0, -1)):
            part = clipped(part, edge, sign)
        if part:
            yield part


def clipped(ring: list[Point], edge: float, sign: int) -> list[Point]:
    """What of a ring lies on one side of a meridian (Sutherland and Hodgman 1974)."""
    kept: list[Point] = []
    for before, after in zip([*ring[-1:], *ring[:-1]], ring, strict=True):
        if (sign * (before[0] - edge) <= 0) != (sign * (after[0] - edge) <= 0):
            share = (edge - before[0]) / (after[0] - before[0])
            kept.append((edge, before[1] + share * (after[1] - before[1])))
        if sign * (after[0] - edge) <= 0:
            kept.append(after)
    return kept


def outline(ring: list[Point]) -> list[int]:
    """A ring as its first point and then steps; what rounds to the same point is one."""
    points: list[tuple[int, int]] = []
    for point in ring:
        at = placed(point)
        if not points or at != points[-1]:
            points.append(at)
    if points and points[0] == points[-1]:
        points.pop()
    if len(points) < SMALLEST:
        return []
    flat = [*points[0]]
    step = (0, 0)
    for before, after in pairwise(points):
        last, step = step, (after[0] - before[0], after[1] - before[1])
        if last[0] * step[1] == last[1] * step[0] and last[0] * step[0] + last[1] * step[1] > 0:
            step = (last[0] + step[0], last[1] + step[1])  # straight on
            flat[-2:] = step
        else:
            flat += step
    return flat


def area(ring: list[Point]) -> float:
    """Twice the area, in square degrees: enough to tell the largest part."""
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)))


def middle(ring: list[Point]) -> tuple[int, int]:
    """The middle of a ring's box."""
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    return placed(((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2))


def countries(path: Path, names: dict[str, str]) -> dict[str, list[list[Point]]]:
    """Alpha-2 code -> rings."""
    topology = json.loads(path.read_text("utf-8"))
    lines = arcs(topology)
    found: dict[str, list[list[Point]]] = {}
    for geometry in topology["objects"]["countries"]["geometries"]:
        name = names.get(str(geometry.get("id", "")))
        if name and name != "AQ" and geometry["type"] in ("Polygon", "MultiPolygon"):
            whole = (half for ring in rings(geometry, lines) for half in halves(ring))
            found.setdefault(name, []).extend(whole)
    return found


def main(coarse: Path, fine: Path, codes: Path) -> None:
    """Write the file and say how large it is."""
    names = {row[2]: row[0] for row in json.loads(codes.read_text("utf-8"))}
    drawn = {name: [o for o in map(outline, some) if o] for name, some in countries(coarse, names).items()}
    shapes = {name: some for name, some in sorted(drawn.items()) if some}
    small = countries(fine, names)
    dots = {name: middle(max(some, key=area)) for name, some in sorted(small.items()) if name not in shapes}
    world = {"width": WIDTH, "height": HEIGHT, "shapes": shapes, "dots": dots}
    raw = json.dumps(world, separators=(",", ":"))
    TARGET.write_text(raw + "\n", "utf-8")
    print(f"{TARGET.name}: {len(raw)} bytes, {len(shapes)} outlines, {len(dots)} dots")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
