"""The address space as squares: along a Hilbert curve, so that networks that lie together stay together, or as rows.

The Hilbert map is the one of https://xkcd.com/195/: 0.0.0.0 at the top left, 224.0.0.0 and above at the top right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from spectra.web.charts.bars import short_number
from spectra.web.charts.svg import Cell, Chart, drawing, link, number, rect, shade, tag, text

_SIDE: Final = 512.0
_ORDER: Final = 4
"""Links lie over squares of 16 x 16: of any network those that are eight bits longer."""
MAX_LISTED: Final = 256
MAX_STRIPS: Final = 16


class Block(NamedTuple):
    """How many hosts are in a network; `path` is where a click leads."""

    network: str
    hosts: int
    path: str = ""


def hilbert(title: str, within: str, fine: Sequence[Block], coarse: Sequence[Block], *, note: str = "") -> Chart:
    """The map of an IPv4 network: `fine` blocks (8 to 12 bits longer) are coloured, `coarse` ones (8 bits) are links.

    The more hosts, the stronger the colour, by the logarithm. The table has the coarse blocks, the fullest first.
    """
    root = Net.read(within)
    most = max((block.hosts for block in fine), default=0)
    order = max(((Net.read(block.network).bits - root.bits + 1) // 2 for block in fine), default=_ORDER)
    shades: dict[int, list[tuple[int, int]]] = {}
    for block in fine:
        shades.setdefault(shade(block.hosts, most), []).append(place(root, Net.read(block.network), order))
    scale = _SIDE / (1 << order)
    squares = tag("g", *_runs(shades, 1.0), transform=f"scale({number(scale)}) translate(0 .5)")
    shapes = [rect(0, 0, _SIDE, _SIDE, class_="ground"), squares, _grid(), *_octets(root, coarse)]
    links = [_linked(root, block) for block in coarse if block.path]
    svg = drawing("hilbert", title, (_SIDE, _SIDE), shapes, links)
    return Chart(svg, ("network", "hosts"), _rows(coarse), title, note)


def heat(title: str, blocks: Sequence[Block], *, note: str = "") -> Chart:
    """Networks as rows of squares: a row is a network 8 bits shorter than the blocks, a column the octet after it.

    The 16 fullest rows are drawn. The table has the blocks, the fullest first.
    """
    rows: dict[Net, dict[int, Block]] = {}
    for block in blocks:
        net = Net.read(block.network)
        rows.setdefault(net.above(8), {})[net.octet] = block
    totals = {row: sum(block.hosts for block in some.values()) for row, some in rows.items()}
    fullest = sorted(sorted(rows, key=lambda row: (-totals[row], row))[:MAX_STRIPS])
    most = max((block.hosts for row in fullest for block in rows[row].values()), default=0)
    shapes: list[Markup] = []
    links: list[Markup] = []
    shades: dict[int, list[tuple[int, int]]] = {}
    for line, row in enumerate(fullest):
        y = 16 + line * _STRIP
        shapes += [text(0, y + 14, str(row), class_="label"), rect(_LEFT, y, 256 * _CELL, _TALL, class_="ground")]
        for column, block in rows[row].items():
            shades.setdefault(shade(block.hosts, most), []).append((column, line))
            if block.path:
                hit = rect(_LEFT + column * _CELL, y, _CELL, _TALL, class_="hit")
                links.append(link(block.path, _told(block), hit, reached=False))
    move = f"translate({number(_LEFT)} {number(16 + _TALL / 2)}) scale({number(_CELL)} {number(_STRIP)})"
    shapes.append(tag("g", *_runs(shades, _TALL / _STRIP), transform=move))
    shapes += [text(_LEFT + column * _CELL, 10, f".{column}", class_="axis") for column in range(0, 256, 32)]
    height = 20 + max(len(fullest), 1) * _STRIP
    svg = drawing("heat", title, (_LEFT + 256 * _CELL, height), shapes, links)
    return Chart(svg, ("network", "hosts"), _rows(blocks), title, note)


_LEFT: Final = 110.0
_CELL: Final = 2.5
_STRIP: Final = 22.0
_TALL: Final = 18.0


class Net(NamedTuple):
    """An IPv4 network: its first address as a number, and its bits. `ipaddress` takes ten times as long to read one."""

    first: int
    bits: int

    @classmethod
    def read(cls, text: str) -> Net:
        """From `10.0.0.0/8`."""
        address, _, bits = text.partition("/")
        a, b, c, d = map(int, address.split("."))
        return cls(a << 24 | b << 16 | c << 8 | d, int(bits))

    def above(self, bits: int) -> Net:
        """The network this one is in, `bits` shorter."""
        shorter = self.bits - bits
        return Net(self.first >> (32 - shorter) << (32 - shorter), shorter)

    @property
    def octet(self) -> int:
        """The last eight of its bits."""
        return self.first >> (32 - self.bits) & 0xFF

    def __str__(self) -> str:
        octets = ".".join(str(self.first >> shift & 0xFF) for shift in (24, 16, 8, 0))
        return f"{octets}/{self.bits}"


def square(root: Net, inner: Net) -> tuple[float, float, float]:
    """Where a network lies in the square of `root`: x, y and side. An odd number of bits is drawn as a square, too."""
    order = (inner.bits - root.bits + 1) // 2
    x, y = place(root, inner, order)
    side = _SIDE / (1 << order)
    return x * side, y * side, side


def place(root: Net, inner: Net, order: int) -> tuple[int, int]:
    """Column and row of a network among the 2^order by 2^order squares of `root`."""
    bits = inner.bits - root.bits
    return along(order, (inner.first - root.first >> (32 - inner.bits)) << max(2 * order - bits, 0))


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


def _runs(shades: Mapping[int, Sequence[tuple[int, int]]], tall: float) -> list[Markup]:
    """Squares of side 1 as strokes, one path for each shade and one stroke for neighbours in a row.

    There are thousands of them: as elements of their own they would be too much for a page.
    """
    made: list[Markup] = []
    for level, squares in sorted(shades.items()):
        strokes: list[list[int]] = []
        for y, x in sorted((y, x) for x, y in squares):
            if strokes and strokes[-1][1] == y and strokes[-1][0] + strokes[-1][2] == x:
                strokes[-1][2] += 1
            else:
                strokes.append([x, y, 1])
        steps = "".join(f"M{x} {y}h{long}" for x, y, long in strokes)
        made.append(tag("path", d=steps, class_=f"h{level}", stroke="currentColor", stroke_width=tall))
    return made


def _grid() -> Markup:
    step = _SIDE / (1 << _ORDER)
    lines = "".join(f"M{i * step:g} 0V{_SIDE:g}M0 {i * step:g}H{_SIDE:g}" for i in range(1, 1 << _ORDER))
    return tag("path", d=lines, class_="grid")


def _octets(root: Net, blocks: Sequence[Block]) -> list[Markup]:
    """The octet that tells each coarse network from the others, so that one finds the way."""
    made: list[Markup] = []
    for block in blocks:
        net = Net.read(block.network)
        x, y, side = square(root, net)
        made.append(text(x + side / 2, y + side / 2 + 3, str(net.octet), class_="octet"))
    return made


def _linked(root: Net, block: Block) -> Markup:
    x, y, side = square(root, Net.read(block.network))
    return link(block.path, _told(block), rect(x, y, side, side, class_="hit"), reached=False)


def _told(block: Block) -> str:
    return f"{block.network}: {short_number(block.hosts)} hosts"


def _rows(blocks: Sequence[Block]) -> tuple[tuple[Cell, ...], ...]:
    fullest = sorted(blocks, key=lambda block: -block.hosts)[:MAX_LISTED]
    return tuple((Cell(b.network, b.path), Cell(short_number(b.hosts), number=True)) for b in fullest)
