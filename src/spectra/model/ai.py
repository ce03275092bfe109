"""What is asked of a language model, and what it answers: every piece of text carries the class of its data.

A prompt is made of fragments, and a fragment of generic words and of private values with their kinds. Its label says
what its words are; where they are generic, taking the private values out makes a text that may leave the machine. No
label is ever guessed from text: what nobody labelled is `LOCAL_ONLY`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Literal, NamedTuple

import msgspec


class Label(IntEnum):
    """How private data is; of several, the highest counts."""

    CLOUD_DIRECT = 0
    """Generic text: may go to any provider that was opted in."""
    SANITIZED = 1
    """Private values can be taken out of it: may go, without those, to opted-in providers of the EU."""
    LOCAL_ONLY = 2
    """Raw data of a network: never leaves the machine."""


class Kind(StrEnum):
    """What a private value is. Pseudonyms of a kind look like values of it."""

    ADDRESS = "address"
    NETWORK = "network"
    MAC = "mac"
    HOSTNAME = "hostname"
    EMAIL = "email"
    USER = "user"
    PATH = "path"
    SECRET = "secret"  # noqa: S105 - a kind, no secret
    """A key, token, password or hash of one."""
    ID = "id"
    """Any other private identifier: a serial number, a certificate's fingerprint, an asset tag."""


class Private(NamedTuple):
    """A private value within a text."""

    kind: Kind
    value: str


Part = str | Private


class Fragment(NamedTuple):
    """A piece of a prompt: `parts` in order, and the label of the words between its private values.

    `CLOUD_DIRECT` with private values is `SANITIZED` at least. A `droppable` one is left out (a note stands in its
    place) where its label does not let it go somewhere; another holds back the whole prompt. `record` is the id of the
    record it tells of (`host:192.0.2.1`), "" for none: never sent.
    """

    parts: tuple[Part, ...]
    label: Label = Label.LOCAL_ONLY
    droppable: bool = False
    record: str = ""

    @property
    def text(self) -> str:
        """The text with its private values in it."""
        return "".join(part if isinstance(part, str) else part.value for part in self.parts)

    @property
    def privates(self) -> tuple[Private, ...]:
        """The private values of it."""
        return tuple(part for part in self.parts if isinstance(part, Private))

    @property
    def effective(self) -> Label:
        """Its label, private values counted."""
        return max(self.label, Label.SANITIZED if self.privates else Label.CLOUD_DIRECT)


def generic(text: str) -> Fragment:
    """Words of Spectra's own, such as instructions: no data in them."""
    return Fragment((text,), Label.CLOUD_DIRECT)


def local(text: str, *, droppable: bool = False, record: str = "") -> Fragment:
    """Raw text of a network or of a user."""
    return Fragment((text,), Label.LOCAL_ONLY, droppable, record)


class ToolCall(NamedTuple):
    """A call that a model asks for; `arguments` is the JSON text of an object."""

    id: str
    name: str
    arguments: str


class Tool(NamedTuple):
    """What a model may call: `schema` is a JSON schema of its arguments. Name, words and schema are generic."""

    name: str
    description: str
    schema: dict[str, object]


Role = Literal["system", "user", "assistant", "tool"]


class Message(NamedTuple):
    """One turn. `calls` are those of an assistant; `answers` is the id of the call that a tool's message answers, whose
    `name` is the tool's. Arguments of calls in a history are `LOCAL_ONLY` text, as what a user says is.
    """

    role: Role
    fragments: tuple[Fragment, ...]
    calls: tuple[ToolCall, ...] = ()
    answers: str = ""
    name: str = ""


class Sampling(NamedTuple):
    """How a model is to answer; None: as the provider does by itself."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


class Prompt(NamedTuple):
    """All that is asked at once.

    `schema`: the JSON schema that the answer's text has to meet (`schema_name` names it). `choice`: `auto`, `none`,
    `required` or a tool's name. `facts`: keys of what is told, each changing with the fact; an answer is kept for as
    long as all are the same. None: nothing is kept. `purpose` is a word for the ledger (`summary`, `chat`, `report`).
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    schema: dict[str, object] | None = None
    schema_name: str = ""
    sampling: Sampling = Sampling()
    facts: tuple[str, ...] | None = None
    purpose: str = "chat"
    model: str = ""
    """Ask this provider (`local`, `mistral`) or model alone, by its name; "": whichever comes first."""

    def fragments(self) -> Iterable[Fragment]:
        """Every fragment of every message."""
        return (fragment for message in self.messages for fragment in message.fragments)

    @property
    def label(self) -> Label:
        """The class of the prompt as it stands: that of its most private fragment; calls in its history are private."""
        said = any(message.calls for message in self.messages)
        return (
            max((f.effective for f in self.fragments()), default=Label.CLOUD_DIRECT) if not said else Label.LOCAL_ONLY
        )


class Usage(NamedTuple):
    """Tokens of a request, as the provider counts them."""

    input: int = 0
    output: int = 0


class Answer(NamedTuple):
    """What a model said, with the private values back in it.

    `label` is the class under which the prompt went to `provider`. `finish`: `stop`, `length`, `tool_calls` or
    `content_filter`.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    provider: str = ""
    model: str = ""
    label: Label = Label.LOCAL_ONLY
    usage: Usage = Usage()
    cached: bool = False


class CallDelta(NamedTuple):
    """More of the call number `number`; `id` and `name` with its first piece."""

    number: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Delta(NamedTuple):
    """More of an answer, private values back in it. The last one has `finish`, and says who answered."""

    text: str = ""
    calls: tuple[CallDelta, ...] = ()
    finish: str = ""
    provider: str = ""
    model: str = ""
    label: Label = Label.LOCAL_ONLY
    usage: Usage = Usage()


class Vectors(NamedTuple):
    """Embeddings, one for each text."""

    vectors: tuple[tuple[float, ...], ...]
    provider: str
    model: str
    usage: Usage = Usage()


class ProviderState(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with one provider. `state`: `ready`, `off` (not opted in or not configured), `broken` (the breaker
    is open until `until`), `spent` (its budget of the day is used up), `blocked` (its way out is down).
    """

    name: str
    model: str
    residency: Literal["machine", "eu", "elsewhere"]
    state: Literal["ready", "off", "broken", "spent", "blocked"]
    why: str = ""
    until: datetime | None = None
    takes: Literal["LOCAL_ONLY", "SANITIZED", "CLOUD_DIRECT"] = "CLOUD_DIRECT"
    """The most private class that may go there."""
    tokens_today: int = 0
    cost_today: float = 0.0
    """In the currency of its configured prices."""
