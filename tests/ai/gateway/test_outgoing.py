"""What is sent: labelled text as plain text."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from spectra.ai.gateway.outgoing import WITHHELD, Outgoing, may_go, render, render_texts
from spectra.ai.privacy.pseudonyms import Pseudonyms
from spectra.ai.privacy.redaction import Redactor
from spectra.model.ai import Fragment, Kind, Label, Message, Private, Prompt, Tool, ToolCall, generic, local
from spectra.settings.ai import Residency
from tests.ai.gateway.desk import ADDRESS, HOST, LOOK, SCHEMA, TOLD, USER, asking

SOURCE = Path(__file__).parents[3] / "src" / "spectra" / "ai"


def redactor() -> Redactor:
    """One for one prompt."""
    return Redactor(Pseudonyms(b"s" * 32, "account"))


def rendered(prompt: Prompt, residency: Residency = "eu", said: Label = Label.SANITIZED) -> Outgoing:
    """What goes to a residency."""
    outgoing = render(prompt, residency, redactor, lambda _: said)
    assert outgoing is not None
    return outgoing


def test_only_one_file_makes_what_is_sent() -> None:
    """Nothing else that deals with models builds an `Outgoing`, so that nothing is sent past the policy."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Outgoing":
                assert path.name == "outgoing.py"


def test_this_machine_sees_everything_as_it_is() -> None:
    """Nothing is replaced, nothing left out, and nothing has to be restored."""
    outgoing = rendered(asking(TOLD, local(" raw", droppable=True)), "machine")
    assert outgoing.turns[1].text == f"The host {ADDRESS} is {HOST}, of user {USER}. raw"
    assert (outgoing.redactor, outgoing.label, outgoing.withheld) == (None, Label.LOCAL_ONLY, 0)
    assert outgoing.restored("as it is") == "as it is"


def test_private_values_are_replaced_everywhere_and_restored() -> None:
    """In marked places, in generic words of the same prompt, and in what the detector is certain of."""
    outgoing = rendered(asking(TOLD, generic(f" So {USER} has {ADDRESS} and 172.16.9.9.")))
    text = outgoing.turns[1].text
    assert not any(value in text for value in (ADDRESS, HOST, USER, "172.16.9.9"))
    assert (
        outgoing.restored(text)
        == f"The host {ADDRESS} is {HOST}, of user {USER}. So {USER} has {ADDRESS} and 172.16.9.9."
    )
    assert (outgoing.label, outgoing.size > 0) == (Label.SANITIZED, True)


def test_what_may_not_go_is_withheld_or_holds_back_the_prompt() -> None:
    """A note stands in the place of a droppable fragment, with its line's end; another one lets nothing go."""
    raw = local(f"220 {HOST} ready\n", droppable=True)
    outgoing = rendered(asking(TOLD, raw, generic("Why?")))
    assert outgoing.turns[1].text.endswith(f"{WITHHELD}\nWhy?")
    assert outgoing.withheld == 1
    several = rendered(asking(TOLD, raw, raw, raw, generic("Why?")))
    assert several.turns[1].text.endswith("[3 parts withheld]\nWhy?")
    assert render(asking(TOLD, local("raw")), "eu", redactor, lambda _: Label.SANITIZED) is None
    assert render(asking(TOLD), "elsewhere", redactor, lambda _: Label.SANITIZED) is None


@pytest.mark.parametrize("residency", ["machine", "eu", "elsewhere"])
@pytest.mark.parametrize("said", list(Label))
def test_whether_anything_may_go_is_known_beforehand(residency: Residency, said: Label) -> None:
    """By labels, of fragments, calls and texts that nobody labelled, as when it is rendered."""
    call = Message("assistant", (generic("I look."),), (ToolCall("1", "look", "{}"),))
    plain = asking(TOLD)
    prompts = [
        asking(generic("Why?")),
        plain,
        asking(TOLD, local("raw")),
        asking(TOLD, local("raw", droppable=True)),
        plain._replace(messages=(*plain.messages, call)),
        asking(generic("Why?"), tools=(Tool("look", "x" * 1_100_000, {}),)),
    ]
    for prompt in prompts:
        gone = render(prompt, residency, redactor, lambda _: said) is not None
        assert may_go(prompt, residency, lambda _: said) == gone


def test_tools_schemas_and_calls_are_looked_through() -> None:
    """Nobody labelled those: what the detector finds in them is replaced; words of schemas are left alone."""
    tool = Tool("look", f"Look up {ADDRESS} or {HOST}", {"type": "object", "enum": ["10.9.8.7", "string"]})
    call = ToolCall("1", "look", json.dumps({"host": ADDRESS, "n": 1, "list": [{"user": USER}, None]}))
    prompt = asking(TOLD, tools=(tool, LOOK), schema=SCHEMA | {"description": f"of {HOST}"})
    prompt = prompt._replace(messages=(*prompt.messages, Message("assistant", (), (call,))))
    outgoing = rendered(prompt)
    said = json.dumps([outgoing.tools, outgoing.schema, outgoing.turns])
    assert not any(value in said for value in (ADDRESS, HOST, USER, "10.9.8.7"))
    assert outgoing.tools[1] == LOOK
    assert outgoing.tools[0].schema["type"] == "object"
    sent = outgoing.turns[2].calls[0]
    assert json.loads(outgoing.restored_call(sent).arguments) == json.loads(call.arguments)
    assert json.loads(sent.arguments)["n"] == 1


def test_arguments_that_are_no_json_are_one_text() -> None:
    """They are redacted as such."""
    call = ToolCall("1", "look", f"host={ADDRESS}")
    prompt = asking(TOLD)._replace(messages=(Message("assistant", (), (call,)), Message("user", (TOLD,))))
    assert ADDRESS not in rendered(prompt).turns[0].calls[0].arguments


def test_json_stays_json() -> None:
    """A restored value that has to be escaped in JSON is, where the answer has to meet a schema."""
    told = Fragment(("user ", Private(Kind.USER, 'CORP\\"jo"')), Label.CLOUD_DIRECT)
    outgoing = rendered(asking(told, schema=SCHEMA))
    name = outgoing.turns[1].text.removeprefix("user ")
    assert json.loads(outgoing.restored(json.dumps({"a": name}))) == {"a": 'CORP\\"jo"'}


@pytest.mark.parametrize(("residency", "seen"), [("machine", True), ("eu", False)])
def test_texts_for_vectors(residency: Residency, seen: bool) -> None:
    """Each as it may go; where one may not go, none does."""
    outgoing = render_texts([TOLD, generic("TLS")], residency, redactor)
    assert outgoing is not None
    assert (ADDRESS in outgoing.texts[0], outgoing.texts[1]) == (seen, "TLS")
    assert render_texts([TOLD, local("raw", droppable=True)], "eu", redactor) is None
