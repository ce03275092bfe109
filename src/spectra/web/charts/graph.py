"""A thing, what ties it to others, and those others: three columns, with a line for each tie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from spectra.web.charts.svg import Cell, Chart, drawing, fitted, link, rect, tag, text

_ROW: Final = 30.0
_BOX: Final = 24.0
MAX_NODES: Final = 60


class Node(NamedTuple):
    """What is tied: its name, what else is known of it, and where a click leads."""

    label: str
    hint: str = ""
    path: str = ""


class Tie(NamedTuple):
    """What ties: `kind` in a word, its name, how many share it (`shared`), and those of them that are drawn."""

    kind: str
    label: str
    shared: str
    nodes: tuple[Node, ...]
    path: str = ""


def graph(title: str, centre: str, ties: Sequence[Tie], *, width: float = 900) -> Chart:
    """`centre` at the left, its ties in the middle, those that share them at the right; each node is drawn once.

    At most 60 nodes are drawn; the table has a row for each node of each tie.
    """
    columns = ("shared", "by", "what", "host", "known as")
    if not ties:
        return Chart(drawing("graph", f"{title}: nothing", (width, _ROW), ()), columns, (), title)
    plan = _Plan(ties, width)
    shapes, links = plan.lines(), list[Markup]()
    shapes += _box((0, plan.middle, plan.left), centre, "centre")
    for place, tie in enumerate(ties):
        y = plan.tie_at(place)
        shapes += _box((plan.tie_x, y, plan.tie_width), f"{tie.kind}: {tie.label}", "tie", tie.shared)
        if tie.path:
            links.append(_over(tie.path, f"{tie.kind} {tie.label}", plan.tie_x, y, plan.tie_width))
    for label, (node, place) in plan.nodes.items():
        y = plan.node_at(place)
        shapes += _box((plan.node_x, y, width - plan.node_x), " ".join(filter(None, (label, node.hint))), "node")
        if node.path:
            links.append(_over(node.path, label, plan.node_x, y, width - plan.node_x))
    rows = tuple(
        (Cell(tie.kind), Cell(tie.shared, number=True), Cell(tie.label, tie.path), Cell(n.label, n.path), Cell(n.hint))
        for tie in ties
        for n in tie.nodes
    )
    note = f"{plan.left_out} more are in the table alone." if plan.left_out else ""
    return Chart(drawing("graph", title, (width, plan.height), shapes, links), columns, rows, title, note)


class _Plan:
    """Where everything stands."""

    def __init__(self, ties: Sequence[Tie], width: float) -> None:
        self._ties = ties
        self.left = width * 0.19
        self.tie_x, self.tie_width = width * 0.26, width * 0.36
        self.node_x = width * 0.69
        self.nodes: dict[str, tuple[Node, int]] = {}
        named = dict.fromkeys(node.label for tie in ties for node in tie.nodes)
        self.left_out = max(len(named) - MAX_NODES, 0)
        for tie in ties:
            for node in tie.nodes:
                if len(self.nodes) < MAX_NODES:
                    self.nodes.setdefault(node.label, (node, len(self.nodes)))
        self.height = max(len(self.nodes), len(ties)) * _ROW + 6
        self.middle = self.height / 2

    def tie_at(self, place: int) -> float:
        """The middle of a tie, from above."""
        return (place + 0.5) * self.height / len(self._ties)

    def node_at(self, place: int) -> float:
        """The middle of a node, from above."""
        return (place + 0.5) * self.height / len(self.nodes)

    def lines(self) -> list[Markup]:
        """From the centre to each tie, and from there to whoever shares it."""
        made: list[Markup] = []
        for place, tie in enumerate(self._ties):
            y = self.tie_at(place)
            made.append(_curve(self.left, self.middle, self.tie_x, y))
            for node in tie.nodes:
                if node.label in self.nodes:
                    at = self.node_at(self.nodes[node.label][1])
                    made.append(_curve(self.tie_x + self.tie_width, y, self.node_x, at))
        return made


def _curve(x1: float, y1: float, x2: float, y2: float) -> Markup:
    bend = (x1 + x2) / 2
    path = f"M{x1:.1f} {y1:.1f}C{bend:.1f} {y1:.1f} {bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    return tag("path", d=path, class_="line")


def _box(at: tuple[float, float, float], label: str, kind: str, count: str = "") -> list[Markup]:
    """A box around the height `at[1]`, from `at[0]` on, `at[2]` wide."""
    x, y, width = at
    room = width - 14 - (len(count) * 7 + 8 if count else 0)
    made = [
        rect(x + 0.5, y - _BOX / 2, width - 1, _BOX, rx=5, class_=f"box {kind}"),
        text(x + 7, y + 4, fitted(label, room)),
    ]
    if count:
        made.append(text(x + width - 7, y + 4, count, text_anchor="end", class_="quiet"))
    return made


def _over(path: str, label: str, x: float, y: float, width: float) -> Markup:
    return link(path, label, rect(x, y - _BOX / 2, width, _BOX, rx=5, class_="hit"), reached=False)
