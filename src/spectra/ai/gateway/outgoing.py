"""What is sent: prompts rendered for a residency. The one place where labelled text becomes plain text.

Code that talks to providers takes an `Outgoing` and nothing else, and only this file makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple, cast

import msgspec

from spectra.ai.gateway.policy import decide, decide_texts, fate
from spectra.ai.privacy.detector import fragment_of
from spectra.ai.privacy.redaction import Redactor
from spectra.model.ai import Fragment, Label, Message, Prompt, Role, Sampling, Tool, ToolCall
from spectra.settings.ai import Residency

WITHHELD: Final = "[withheld]"
"""What stands in the place of a fragment that was left out; of several in a row, how many they were."""
_REMEMBERED: Final = 2048  # texts of tools and schemas, which are the same in every prompt
_SCHEMA_WORDS: Final = frozenset(
    {
        "type",
        "object",
        "array",
        "string",
        "integer",
        "number",
        "boolean",
        "null",
        "properties",
        "required",
        "items",
        "additionalProperties",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "oneOf",
        "not",
        "description",
        "title",
        "default",
        "format",
        "pattern",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "$ref",
        "$defs",
    }
)


class Turn(NamedTuple):
    """A message, as it is sent."""

    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    answers: str = ""
    name: str = ""


class Outgoing(NamedTuple):
    """A prompt, or texts to make vectors of, as it is sent; `redactor` puts private values back into the answer, None
    where nothing was taken out. `label` is the class of it.
    """

    label: Label
    redactor: Redactor | None
    turns: tuple[Turn, ...] = ()
    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    schema: dict[str, object] | None = None
    schema_name: str = ""
    sampling: Sampling = Sampling()
    texts: tuple[str, ...] = ()
    withheld: int = 0

    @property
    def size(self) -> int:
        """Characters of it, about."""
        turns = sum(len(turn.text) + sum(len(call.arguments) for call in turn.calls) for turn in self.turns)
        tools = sum(len(tool.description) + len(str(tool.schema)) for tool in self.tools)
        return turns + tools + sum(map(len, self.texts)) + len(str(self.schema or ""))

    def restored(self, text: str) -> str:
        """A text of the answer with private values in it; JSON stays JSON where a schema was asked for."""
        if self.redactor is None:
            return text
        return self.redactor.restore_json(text) if self.schema is not None else self.redactor.restore(text)

    def restored_call(self, call: ToolCall) -> ToolCall:
        """A call with private values in its arguments."""
        return call if self.redactor is None else call._replace(arguments=self.redactor.restore_json(call.arguments))


def may_go(prompt: Prompt, residency: Residency, said: Callable[[ToolCall], Label]) -> bool:
    """Whether `render` gives something to send to `residency`: told by labels, nothing is made for it."""
    if not decide(prompt, residency, said).allowed:
        return False
    return residency == "machine" or not any(_loose(t).effective > Label.SANITIZED for t in _unlabelled(prompt))


def render(
    prompt: Prompt, residency: Residency, redactor: Callable[[], Redactor], said: Callable[[ToolCall], Label]
) -> Outgoing | None:
    """`prompt` as it may go to `residency`; None where it may not. `redactor` makes one for this prompt alone."""
    decision = decide(prompt, residency, said)
    if not decision.allowed:
        return None
    tools, schema, out = prompt.tools, prompt.schema, None
    if residency == "machine":
        turns = tuple(_turn(message, "".join(f.text for f in message.fragments)) for message in prompt.messages)
    else:
        loose = {text: _loose(text) for text in _unlabelled(prompt)}
        if any(fragment.effective > Label.SANITIZED for fragment in loose.values()):
            return None
        out = redactor()
        known = [*prompt.fragments(), *loose.values()]
        out.add(private for fragment in known for private in fragment.privates)
        worded = {text: out.text(fragment) for text, fragment in loose.items()}.__getitem__
        turns = tuple(_turn(m, _text(m.fragments, residency, out), worded) for m in prompt.messages)
        tools = tuple(Tool(t.name, worded(t.description), _changed(t.schema, worded)) for t in prompt.tools)
        schema = None if prompt.schema is None else _changed(prompt.schema, worded)
    return Outgoing(
        label=decision.label,
        redactor=out,
        turns=turns,
        tools=tools,
        choice=prompt.choice,
        schema=schema,
        schema_name=prompt.schema_name,
        sampling=prompt.sampling,
        withheld=decision.withheld,
    )


def render_texts(
    fragments: Sequence[Fragment], residency: Residency, redactor: Callable[[], Redactor]
) -> Outgoing | None:
    """Texts to make vectors of, as they may go to `residency`; None where they may not."""
    decision = decide_texts(fragments, residency)
    if not decision.allowed:
        return None
    if residency == "machine":
        return Outgoing(decision.label, None, texts=tuple(fragment.text for fragment in fragments))
    out = redactor()
    out.add(private for fragment in fragments for private in fragment.privates)
    return Outgoing(decision.label, out, texts=tuple(out.text(fragment) for fragment in fragments))


def _text(fragments: Sequence[Fragment], residency: Residency, redactor: Redactor) -> str:
    """The text of a message. What stands together is redacted at once: that costs less, and joins what was cut."""
    texts: list[str] = []
    for sent, run in groupby(fragments, key=lambda fragment: fate(fragment, residency) == "send"):
        some = tuple(run)
        texts.append(redactor.text(_joined(some)) if sent else _withheld(some))
    return "".join(texts)


def _joined(fragments: tuple[Fragment, ...]) -> Fragment:
    parts = tuple(part for fragment in fragments for part in fragment.parts)
    return Fragment(parts, max(fragment.label for fragment in fragments))


def _withheld(fragments: tuple[Fragment, ...]) -> str:
    """A note in the place of fragments, with the line break that ended them."""
    note = WITHHELD if len(fragments) == 1 else f"[{len(fragments)} parts withheld]"
    return note + ("\n" if fragments[-1].text.endswith("\n") else "")


def _turn(message: Message, text: str, worded: Callable[[str], str] | None = None) -> Turn:
    calls = message.calls
    if worded is not None:
        calls = tuple(call._replace(arguments=_arguments(call.arguments, worded)) for call in calls)
    return Turn(message.role, text, calls, message.answers, message.name)


def _unlabelled(prompt: Prompt) -> set[str]:
    """Texts of a prompt that carry no label: arguments of calls in its history, words of tools, schemas."""
    found: set[str] = set()

    def keep(text: str) -> str:
        found.add(text)
        return text

    for message in prompt.messages:
        for call in message.calls:
            _mapped(_read(call.arguments), keep)
    for tool in prompt.tools:
        keep(tool.description)
        _mapped(tool.schema, keep)
    _mapped(prompt.schema, keep)
    return found


@lru_cache(maxsize=_REMEMBERED)
def _loose(text: str) -> Fragment:
    """What the detector makes of a text that nobody labelled; words of JSON schemas are what they are."""
    return Fragment((text,), Label.CLOUD_DIRECT) if text in _SCHEMA_WORDS else fragment_of(text)


def _arguments(arguments: str, worded: Callable[[str], str]) -> str:
    return msgspec.json.encode(_mapped(_read(arguments), worded)).decode()


def _read(arguments: str) -> object:
    """Arguments of a call as values; what is no JSON is one string."""
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments


def _changed(schema: dict[str, object], worded: Callable[[str], str]) -> dict[str, object]:
    return msgspec.convert(_mapped(schema, worded), dict[str, object])


def _mapped(value: object, change: Callable[[str], str]) -> object:
    """`value` with each string in it changed, names of fields too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value).items()
        return {change(str(key)): _mapped(inner, change) for key, inner in pairs}
    if isinstance(value, list | tuple):
        return [_mapped(inner, change) for inner in cast("Sequence[object]", value)]
    return value
