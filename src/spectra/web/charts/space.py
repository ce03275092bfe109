"""The address space as squares: along a Hilbert curve, so that networks that lie together stay together, or as rows.

The Hilbert map is the one of https://xkcd.com/195/: 0.0.0.0 at the top left, 224.0.0.0 and above at the top right.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from spectra.web.charts.bars import short_number
from spectra.web.charts.svg import Cell, Chart, drawing, link, rect, shade, tag, text

_SIDE: Final = 512.0
_ORDER: Final = 4
"""Links lie over squares of 16 x 16: of any network those that are eight bits longer."""
MAX_LISTED: Final = 256
MAX_STRIPS: Final = 16

Network = ipaddress.IPv4Network


class Block(NamedTuple):
    """How many hosts are in a network; `path` is where a click leads."""

    network: str
    hosts: int
    path: str = ""


def hilbert(title: str, within: str, fine: Sequence[Block], coarse: Sequence[Block], *, note: str = "") -> Chart:
    """The map of an IPv4 network: `fine` blocks (8 to 12 bits longer) are coloured, `coarse` ones (8 bits) are links.

    The more hosts, the darker, by the logarithm. The table has the coarse blocks, the fullest first.
    """
    root = ipaddress.IPv4Network(within)
    most = max((block.hosts for block in fine), default=0)
    shades: dict[int, list[tuple[float, float, float]]] = {}
    for block in fine:
        x, y, size = square(root, ipaddress.IPv4Network(block.network))
        shades.setdefault(shade(block.hosts, most), []).append((x, y, size))
    shapes = [rect(0, 0, _SIDE, _SIDE, class_="ground"), *_squares(shades), _grid(), *_octets(root, coarse)]
    links = [_linked(root, block) for block in coarse if block.path]
    svg = drawing("hilbert", title, (_SIDE, _SIDE), shapes, links)
    return Chart(svg, ("network", "hosts"), _rows(coarse), title, note)


def heat(title: str, blocks: Sequence[Block], *, note: str = "") -> Chart:
    """Networks as rows of squares: a row is a network 8 bits shorter than the blocks, a column the octet after it.

    The 16 fullest rows are drawn. The table has the blocks, the fullest first.
    """
    rows: dict[Network, dict[int, Block]] = {}
    for block in blocks:
        network = ipaddress.IPv4Network(block.network)
        above = network.supernet(prefixlen_diff=8)
        column = (int(network.network_address) >> (32 - network.prefixlen)) & 0xFF
        rows.setdefault(above, {})[column] = block
    fullest = sorted(rows, key=lambda row: (-sum(b.hosts for b in rows[row].values()), row))[:MAX_STRIPS]
    most = max((block.hosts for row in fullest for block in rows[row].values()), default=0)
    shapes: list[Markup] = []
    links: list[Markup] = []
    shades: dict[int, list[tuple[float, float, float]]] = {}
    for place, row in enumerate(sorted(fullest)):
        y = 16 + place * 22.0
        shapes += [text(0, y + 14, str(row), class_="label"), rect(_LEFT, y, 256 * _CELL, 18, class_="ground")]
        for column, block in rows[row].items():
            shades.setdefault(shade(block.hosts, most), []).append((_LEFT + column * _CELL, y, _CELL))
            if block.path:
                hit = rect(_LEFT + column * _CELL, y, _CELL, 18, class_="hit")
                links.append(link(block.path, _told(block), hit, reached=False))
    shapes += _squares(shades, tall=18)
    shapes += [text(_LEFT + column * _CELL, 10, f".{column}", class_="axis") for column in range(0, 256, 32)]
    height = 20 + max(len(fullest), 1) * 22.0
    svg = drawing("heat", title, (_LEFT + 256 * _CELL, height), shapes, links[:_MAX_LINKS])
    return Chart(svg, ("network", "hosts"), _rows(blocks), title, note)


_LEFT: Final = 110.0
_CELL: Final = 2.5
_MAX_LINKS: Final = 300
"""Links of a drawing: each is some 200 bytes of the page, and the table has them too."""


def square(root: Network, inner: Network) -> tuple[float, float, float]:
    """Where a network lies in the square of `root`: x, y and side. An odd number of bits is drawn as a square, too."""
    bits = inner.prefixlen - root.prefixlen
    order = (bits + 1) // 2
    index = (int(inner.network_address) - int(root.network_address)) >> (32 - root.prefixlen - bits)
    x, y = along(order, index << (2 * order - bits))
    side = _SIDE / (1 << order)
    return x * side, y * side, side


def along(order: int, index: int) -> tuple[int, int]:
    """The square that a Hilbert curve through 2^order by 2^order squares reaches after `index` steps."""
    x = y = 0
    size, left = 1, index
    while size < 1 << order:
        right, down = left >> 1 & 1, (left ^ left >> 1) & 1
        if not down:
            if right:
                x, y = size - 1 - x, size - 1 - y
            x, y = y, x
        x, y = x + size * right, y + size * down
        left >>= 2
        size <<= 1
    return x, y


def _squares(shades: Mapping[int, Sequence[tuple[float, float, float]]], tall: float | None = None) -> list[Markup]:
    """One path for each shade: thousands of squares as elements of their own would be too much for a page."""
    made: list[Markup] = []
    for level, squares in sorted(shades.items()):
        steps = "".join(
            f"M{x:g} {y:g}h{side:g}v{side if tall is None else tall:g}h-{side:g}z" for x, y, side in squares
        )
        made.append(tag("path", d=steps, class_=f"h{level}"))
    return made


def _grid() -> Markup:
    step = _SIDE / (1 << _ORDER)
    lines = "".join(f"M{i * step:g} 0V{_SIDE:g}M0 {i * step:g}H{_SIDE:g}" for i in range(1, 1 << _ORDER))
    return tag("path", d=lines, class_="grid")


def _octets(root: Network, blocks: Sequence[Block]) -> list[Markup]:
    """The octet that tells each coarse network from the others, so that one finds the way."""
    made: list[Markup] = []
    for block in blocks:
        network = ipaddress.IPv4Network(block.network)
        x, y, side = square(root, network)
        octet = int(network.network_address) >> (32 - network.prefixlen) & 0xFF
        made.append(text(x + side / 2, y + side / 2 + 3, str(octet), class_="octet", text_anchor="middle"))
    return made


def _linked(root: Network, block: Block) -> Markup:
    x, y, side = square(root, ipaddress.IPv4Network(block.network))
    return link(block.path, _told(block), rect(x, y, side, side, class_="hit"), reached=False)


def _told(block: Block) -> str:
    return f"{block.network}: {short_number(block.hosts)} hosts"


def _rows(blocks: Sequence[Block]) -> tuple[tuple[Cell, ...], ...]:
    fullest = sorted(blocks, key=lambda block: -block.hosts)[:MAX_LISTED]
    return tuple((Cell(b.network, b.path), Cell(short_number(b.hosts), number=True)) for b in fullest)
