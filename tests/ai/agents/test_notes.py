"""A model's notes: words beside insights, and nothing else of them."""

from __future__ import annotations

import json

import msgspec
import pytest

from spectra.ai.agents.notes import MOST, annotate
from spectra.ai.gateway.errors import NoModel
from spectra.model.ai import Answer, Label, Prompt
from tests.support.insights import sample


class Says:
    """A gateway whose model says this."""

    def __init__(self, text: str = "", error: Exception | None = None) -> None:
        self.asked: list[Prompt] = []
        self._text = text
        self._error = error

    def answer(self, prompt: Prompt, *, account: str, deadline_s: float) -> Answer:
        """The text, or the error."""
        assert account
        assert deadline_s > 0
        self.asked.append(prompt)
        if self._error:
            raise self._error
        return Answer(self._text, provider="local", model="tiny")


def notes(*said: tuple[str, str]) -> str:
    """What a model answers."""
    return json.dumps({"notes": [{"ref": ref, "note": note} for ref, note in said]})


TOLD = [sample(severity="info"), sample("192.0.2.8"), sample("192.0.2.9", severity="critical")]
NOTE = "It may be a scanner of yours; look there first."


def test_notes_change_nothing_else() -> None:
    """The worst is I1; the order stays, and all but the note is as it was. References that are none are left out."""
    says = Says(notes(("I1", NOTE), ("[I2]", f"{NOTE}\x1b[2J"), ("I3", NOTE), ("I9", NOTE), ("x", NOTE)))
    found, why = annotate(says, TOLD, account="alice", deadline_s=3)
    assert why == ""
    assert [one.note for one in found] == ["", f"{NOTE}?[2J", NOTE]
    assert {one.note_by for one in found if one.note} == {"local tiny"}
    assert [msgspec.structs.replace(one, note="", note_by="") for one in found] == TOLD
    (prompt,) = says.asked
    assert (prompt.label, prompt.purpose) == (Label.LOCAL_ONLY, "agents")
    assert prompt.facts == (TOLD[2].digest, TOLD[1].digest)


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (None, "no_model"),
        (Says(error=NoModel("none", reason="ai_deadline")), "ai_deadline"),
        (Says("no JSON"), "ai_unreadable"),
        (Says('{"notes": [{"ref": 1}]}'), "ai_unreadable"),
        (Says(notes(("I1", "short"))), ""),
    ],
)
def test_without_words_insights_are_as_they_were(says: Says | None, why: str) -> None:
    """No model, none in time, or none that answers as it was asked to."""
    assert annotate(says, TOLD, account="alice", deadline_s=3) == (tuple(TOLD), why)


def test_only_the_worst_are_told_and_labels_travel() -> None:
    """At most a dozen, 8 KB, and the class of each."""
    many = [sample(f"192.0.2.{n}", label=Label.SANITIZED, what="x" * 1900) for n in range(50)]
    says = Says(notes())
    annotate(says, many, account="alice", deadline_s=3)
    (prompt,) = says.asked
    assert prompt.label == Label.SANITIZED
    lines = prompt.messages[1].fragments
    assert len(lines) < MOST
    assert sum(len(line.text.encode()) for line in lines) <= 8192
    assert annotate(says, [sample(severity="info")], account="alice", deadline_s=3)[1] == ""
    assert len(says.asked) == 1
