"""What is sent, as messages of pydantic-ai."""

from __future__ import annotations

import pytest
from pydantic_ai import messages
from pydantic_ai.exceptions import ModelHTTPError, UserError

from spectra.ai.gateway.outgoing import Outgoing, Turn, render
from spectra.ai.gateway.talking import history, wants_words
from spectra.ai.privacy.redaction import Redactor
from spectra.model.ai import Label, ToolCall, generic
from tests.ai.gateway.desk import SCHEMA, asking


def made(*, schema: dict[str, object] | None) -> Outgoing:
    """A prompt on its way."""

    def none() -> Redactor:
        raise AssertionError

    one = render(asking(generic("x"), schema=schema), "machine", none, lambda _: Label.LOCAL_ONLY)
    assert one is not None
    return one


def test_turns_become_messages() -> None:
    """Those of others stand together before each of the model's own; calls and their answers keep their ids."""
    call = ToolCall("c1", "look", "{}")
    turns = [
        Turn("system", "s"),
        Turn("user", "u"),
        Turn("assistant", "a", (call,)),
        Turn("tool", "t", answers="c1", name="look"),
        Turn("user", "v"),
    ]
    first, said, last = history(turns)
    assert isinstance(first, messages.ModelRequest)
    assert isinstance(said, messages.ModelResponse)
    assert isinstance(last, messages.ModelRequest)
    assert [type(part).__name__ for part in first.parts] == ["SystemPromptPart", "UserPromptPart"]
    assert [type(part).__name__ for part in said.parts] == ["TextPart", "ToolCallPart"]
    answer, question = last.parts
    assert isinstance(answer, messages.ToolReturnPart)
    assert (answer.tool_call_id, answer.tool_name, answer.content) == ("c1", "look", "t")
    assert isinstance(question, messages.UserPromptPart)


def test_a_history_that_begins_with_the_model() -> None:
    """Is sent as it is."""
    assert [type(one).__name__ for one in history([Turn("assistant", "a"), Turn("user", "u")])] == [
        "ModelResponse",
        "ModelRequest",
    ]


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ModelHTTPError(400, "m"), True),
        (ModelHTTPError(500, "m"), True),
        (UserError("no native output"), True),
        (ModelHTTPError(429, "m"), False),
        (TimeoutError(), False),
    ],
)
def test_a_schema_may_be_what_is_refused(error: Exception, again: bool) -> None:
    """Then it is asked for in words, once; without a schema nothing is asked twice."""
    assert wants_words(error, made(schema=SCHEMA)) is again
    assert not wants_words(error, made(schema=None))
