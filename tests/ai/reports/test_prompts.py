"""What a model is asked: facts are labelled data, instructions are ours, answers that failed are not sent back."""

from __future__ import annotations

from spectra.ai.patterns import loading
from spectra.ai.reports import prompts
from spectra.model.ai import Kind, Label, Private
from tests.ai.reports.papers import EVIL, IP, facts

PATTERN = loading.load()["full"]


def test_facts_stand_with_their_references() -> None:
    """Each as it is labelled; what machines said is no part of the instructions."""
    asked = prompts.prompt(PATTERN, facts())
    system, user = asked.messages
    assert (system.role, user.role, asked.purpose, asked.schema) == ("system", "user", "report", PATTERN.schema)
    assert system.fragments[0].effective == Label.CLOUD_DIRECT
    assert EVIL not in system.fragments[0].text
    assert [fragment.text for fragment in user.fragments[1:]] == [f"[F1] Host {IP} is up.\n", f"[F2] {EVIL}\n"]
    assert user.fragments[1].privates == (Private(Kind.ADDRESS, IP),)
    assert user.fragments[2].droppable
    assert asked.label == Label.LOCAL_ONLY


def test_a_question_is_private() -> None:
    """As a person typed it; or what the detector finds in it is, where that is configured."""
    known = facts(question=f"What is at {IP}?")
    here = prompts.prompt(PATTERN, known).messages[1].fragments
    assert [one.label for one in here if "What is" in one.text] == [Label.LOCAL_ONLY]
    found = prompts.prompt(PATTERN, known, free_text="detected").messages[1].fragments
    asked = next(one for one in found if "What is" in one.text)
    assert Private(Kind.ADDRESS, IP) in asked.privates
    assert asked.effective <= Label.SANITIZED


def test_reasons_are_told() -> None:
    """In words of ours; asked plainly, no schema is insisted on, and it stands in the words."""
    asked = prompts.prompt(PATTERN, facts(), ["`summary` is missing."], plain=True)
    last = asked.messages[1].fragments[-1]
    assert "- `summary` is missing." in last.text
    assert last.effective == Label.CLOUD_DIRECT
    assert asked.schema is None
    assert '"summary"' in asked.messages[0].fragments[0].text
