"""A thing, its ties, and who shares them."""

from __future__ import annotations

from spectra.web.charts.graph import MAX_NODES, Node, Tie, graph


def test_every_node_is_drawn_once_and_has_its_rows() -> None:
    """With a line for each tie, a link over each node, and a row for each pair; text is escaped."""
    shared = Node("192.0.2.9", "www", "/hosts/192.0.2.9/around")
    ties = [
        Tie("certificate", "<b>evil</b>", "1", (shared,), "/hosts/x/around?relation=certificate"),
        Tie("banner", "nginx", "500+", (shared, Node("192.0.2.10"))),
    ]
    chart = graph("Around", "192.0.2.7", ties)
    assert chart.svg.count('href="/hosts/192.0.2.9/around"') == 1
    assert chart.svg.count("<path") == 2 + 3
    assert "<b>" not in chart.svg
    assert [[cell.text for cell in row] for row in chart.rows] == [
        ["certificate", "1", "<b>evil</b>", "192.0.2.9", "www"],
        ["banner", "500+", "nginx", "192.0.2.9", "www"],
        ["banner", "500+", "nginx", "192.0.2.10", ""],
    ]


def test_there_is_room_for_so_many() -> None:
    """The others are in the table, and it is said; nothing at all is a picture too."""
    many = tuple(Node(f"10.0.0.{n}") for n in range(MAX_NODES + 5))
    chart = graph("Around", "10.9.9.9", [Tie("network", "10.0.0.0/24", "65", many)])
    assert chart.note.startswith("5 more")
    assert len(chart.rows) == MAX_NODES + 5
    assert "nothing" in graph("Around", "10.9.9.9", []).svg
