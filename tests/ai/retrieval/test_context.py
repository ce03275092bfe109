"""A context can be cited, and its keys change with what it says."""

from __future__ import annotations

from spectra.ai.retrieval.context import Context, Item
from spectra.ai.retrieval.lines import Line, address, line, raw_line
from spectra.model.ai import Label
from spectra.model.summaries import Target


def context(*lines: Line) -> Context:
    """One of these lines."""
    items = tuple(Item(f"F{number}", *one) for number, one in enumerate(lines, 1))
    return Context(target=Target("ip", "192.0.2.1"), items=items)


def test_references_records_and_lines() -> None:
    """Every item is a line of its own, which keeps its label and record."""
    host = line("host:192.0.2.1", "it", ["Host ", address("192.0.2.1")], 9.0)
    said = raw_line("endpoint:192.0.2.1/tcp/80", "80", "It says é", 1.0)
    made = context(host, said)
    assert [one.text for one in made.fragments] == ["[F1] Host 192.0.2.1\n", "[F2] It says é\n"]
    assert [one.effective for one in made.fragments] == [Label.SANITIZED, Label.LOCAL_ONLY]
    assert [(one.droppable, one.record) for one in made.fragments] == [(False, host.record), (True, said.record)]
    assert made.refs["F2"].record == said.record
    assert made.records[host.record].ref == "F1"
    assert made.size == len("[F1] Host 192.0.2.1\n[F2] It says é\n".encode())


def test_keys_change_with_the_fact() -> None:
    """With its words and with what of them is private."""
    plain = context(line("a", "a", ["Host x"], 1.0)).facts
    assert plain == context(line("a", "b", ["Host x"], 7.0)).facts
    assert plain != context(line("a", "a", ["Host y"], 1.0)).facts
    assert plain != context(raw_line("a", "a", "Host x", 1.0)).facts
    assert context(line("a", "a", ["Host ", address("x")], 1.0)).facts != plain
