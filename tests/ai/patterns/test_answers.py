"""What a model answered becomes sections, or reasons that have nothing of it in their words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from spectra.ai.patterns import answers
from spectra.ai.patterns.answers import Plan

PLANS = (Plan("summary", "Summary", "text"), Plan("risks", "Risks", "risks"))
_ITEM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "cites": {"type": "array", "items": {"type": "string"}},
        "title": {"type": "string"},
        "weight": {"enum": ["high", "low"]},
    },
    "required": ["text", "cites"],
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "array", "items": _ITEM} for name in ("summary", "risks")},
    "required": ["summary"],
}
REFS = {"F1": "host:192.0.2.7", "F2": "endpoint:192.0.2.7/tcp/23", "F3": "host:192.0.2.7"}


def said(**sections: Any) -> str:
    """An answer."""
    return msgspec.json.encode(sections).decode()


def test_an_answer_that_holds_becomes_sections() -> None:
    """References become ids of records, each once; references within the text are taken out of it."""
    text = said(
        summary=[{"text": "It offers\n Telnet [F2].", "cites": ["F1", "[F3]"]}],
        risks=[{"text": "Clear text", "cites": ["F2"], "title": " Telnet ", "weight": "high"}],
    )
    read = answers.read(text, PLANS, SCHEMA, REFS)
    assert read.reasons == ()
    summary, risks = read.sections
    assert (summary.id, summary.title, summary.form, summary.by) == ("summary", "Summary", "text", "model")
    assert summary.statements[0].text == "It offers Telnet."
    assert summary.statements[0].cites == ("host:192.0.2.7", "endpoint:192.0.2.7/tcp/23")
    assert (risks.statements[0].title, risks.statements[0].weight) == ("Telnet", "high")


@pytest.mark.parametrize("around", ["{}", "```json\n{}\n```", "Here you are:\n{}\nI hope it helps.", "```\n{}```"])
def test_what_stands_around_an_answer_is_no_part_of_it(around: str) -> None:
    """A fence and politeness are left out."""
    text = around.replace("{}", said(summary=[{"text": "a", "cites": ["F1"]}]))
    assert answers.read(text, PLANS, SCHEMA, REFS).reasons == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "It is not one JSON object."),
        ("[]", "It is not one JSON object."),
        ("{" * 100_000, "It is not one JSON object."),
        ("x" * (answers.MAX_ANSWER + 1), "It has more than 262144 characters."),
        (said(risks=[]), "`the answer`: `summary` is missing."),
        (said(summary=[{"text": "a", "cites": []}]), "`summary[0].cites`: it cites no fact."),
        (said(summary=[{"text": " \x1b ", "cites": ["F1"]}]), "`summary[0].text`: it says nothing."),
    ],
)
def test_one_that_does_not_hold_is_told_why(text: str, reason: str) -> None:
    """Nothing of it is taken then."""
    assert answers.read(text, PLANS, SCHEMA, REFS) == ((), (reason,))


def test_what_was_not_shown_cannot_be_cited() -> None:
    """A made-up reference and a record's id are refused, by their place and not by what they say."""
    text = said(
        summary=[{"text": "a", "cites": ["F1", "host:10.9.8.7"]}], risks=[{"text": "10.9.8.7 [F99]", "cites": ["F1"]}]
    )
    sections, reasons = answers.read(text, PLANS, SCHEMA, REFS)
    assert sections == ()
    assert [reason.partition(":")[0] for reason in reasons] == ["`summary[0].cites`", "`risks[0].cites`"]
    assert "10.9.8.7" not in " ".join(reasons)


def test_texts_are_of_one_line_and_steer_nothing() -> None:
    """Control characters and those that turn the direction of writing are left out."""
    assert answers.clean("a\x1b[2J\u202eb\n\tc\x9b") == "a [2J b c"
