"""What is asked: our words are generic, facts carry their labels, a question is its asker's own."""

from __future__ import annotations

from spectra.ai.explain.asking import prompt
from spectra.ai.retrieval.context import Context, Item
from spectra.ai.retrieval.lines import address, line
from spectra.model.ai import Label
from spectra.model.summaries import Target

_LINE = line("host:192.0.2.1", "192.0.2.1", ["Host ", address("192.0.2.1")], 100.0)
CONTEXT = Context(target=Target("ip", "192.0.2.1"), items=(Item("F1", *_LINE),))


def test_labels_of_a_prompt() -> None:
    """Without a question as private as the facts; with one local, or what the detector makes of it."""
    assert prompt(CONTEXT, "", "local").label == Label.SANITIZED
    assert prompt(CONTEXT, "Is jdoe@corp.example in?", "local").label == Label.LOCAL_ONLY
    detected = prompt(CONTEXT, "Is jdoe@corp.example in?", "detected")
    assert detected.label == Label.SANITIZED
    assert "jdoe@corp.example" in {private.value for one in detected.fragments() for private in one.privates}
    assert not any(one.privates for one in detected.messages[0].fragments)


def test_a_refusal_is_told_without_the_answer() -> None:
    """In the same turn, so that every provider takes it; nothing is kept by the gateway."""
    asked = prompt(CONTEXT, "", "local", ("summary 1 cites nothing",))
    assert [message.role for message in asked.messages] == ["system", "user"]
    last = asked.messages[1].fragments[-1]
    assert last.effective == Label.CLOUD_DIRECT
    assert "summary 1 cites nothing" in last.text
    assert (asked.facts, asked.purpose, asked.schema_name) == (None, "summary", "summary")
    assert "[F1] Host 192.0.2.1\n" in "".join(one.text for one in asked.messages[1].fragments)
