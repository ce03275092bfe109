"""Maps of the address space."""

from __future__ import annotations

import ipaddress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.web.charts.space import MAX_STRIPS, Block, Net, along, heat, hilbert, square
from tests.web.charts.reading import drawn

ALL = Net.read("0.0.0.0/0")


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_the_curve_visits_every_square_by_single_steps(order: int) -> None:
    """Each square once, and the next is beside it."""
    way = [along(order, index) for index in range(4**order)]
    assert len(set(way)) == 4**order
    assert all(abs(a - c) + abs(b - d) == 1 for (a, b), (c, d) in pairwise(way))
    assert way[0] == (0, 0)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_a_finer_curve_stays_within_the_coarser(order: int) -> None:
    """A network lies where its parts lie."""
    coarse = [along(order - 1, index) for index in range(4 ** (order - 1))]
    assert all(tuple(c // 2 for c in along(order, index)) == coarse[index // 4] for index in range(4**order))


def test_networks_have_their_known_places() -> None:
    """As on xkcd's map: the first quarter at the top left, the last at the top right."""
    assert square(ALL, Net.read("0.0.0.0/8"))[:2] == (0, 0)
    assert square(ALL, Net.read("255.0.0.0/8"))[:2] == (480, 0)
    assert square(ALL, Net.read("0.0.0.0/0")) == (0, 0, 512)
    x, y, side = square(Net.read("10.0.0.0/8"), Net.read("10.255.0.0/16"))
    assert (x, y, side) == (480, 0, 32)


def test_a_map_has_colours_links_and_a_table() -> None:
    """Squares of a shade are one path; each coarse network is a link and a row, the fullest first."""
    fine = [Block("10.0.0.0/12", 5), Block("10.16.0.0/12", 5), Block("192.160.0.0/12", 900)]
    coarse = [Block("10.0.0.0/8", 10, "/a"), Block("192.0.0.0/8", 900, "/b")]
    chart = hilbert("Map", "0.0.0.0/0", fine, coarse, note="estimated")
    root = drawn(chart.svg)
    shades = {path.get("class"): path.get("d") for path in root.xpath("//g[@transform]/path")}
    assert shades == {"h3": "M12 12h2", "h8": "M60 28h1"}  # of 64 by 64; neighbours are one stroke
    assert root.xpath("//text[@class='octet']/text()") == ["10", "192"]
    assert root.xpath("//a/@href") == ["/a", "/b"]
    assert [[cell.text for cell in row] for row in chart.rows] == [["192.0.0.0/8", "900"], ["10.0.0.0/8", "10"]]
    assert chart.note == "estimated"


def test_a_full_map_is_small() -> None:
    """Of every square another shade than its neighbours, with every link: a page may have 150 KB."""
    fine = [Block(f"{n >> 4}.{(n & 15) << 4}.0.0/12", 10 ** (n % 6)) for n in range(4096)]
    coarse = [Block(f"{n}.0.0.0/8", n + 1, f"/space?kind=hilbert&within={n}.0.0.0%2F8") for n in range(256)]
    assert len(hilbert("Map", "0.0.0.0/0", fine, coarse).svg) < 100_000


@given(first=st.integers(0, 2**24 - 1), bits=st.integers(8, 32))
def test_networks_are_read_as_they_are_written(first: int, bits: int) -> None:
    """As the standard library has them."""
    network = ipaddress.ip_network((first << 8, bits), strict=False)
    net = Net.read(str(network))
    assert str(net) == str(network)
    assert str(net.above(8)) == str(network.supernet(8))  # pyright: ignore[reportArgumentType]


def test_rows_of_heat_are_the_fullest_networks() -> None:
    """Sixteen of them, in order of address; a column is the next octet."""
    blocks = [Block(f"{first}.{second}.0.0/16", first) for first in range(1, 21) for second in (0, 255)]
    root = drawn(heat("Heat", blocks).svg)
    rows = root.xpath("//text[@class='label']/text()")
    assert len(rows) == MAX_STRIPS
    assert (rows[0], rows[-1]) == ("5.0.0.0/8", "20.0.0.0/8")
    within = drawn(heat("Heat", [Block("10.1.0.0/24", 1), Block("10.1.255.0/24", 1, "/x")]).svg)
    assert within.xpath("//text[@class='label']/text()") == ["10.1.0.0/16"]
    assert within.xpath("//a/rect/@x") == ["747.5"]
    drawn(heat("Heat", []).svg)
