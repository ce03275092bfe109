"""What a client of OpenAI's API is answered: whole, piece by piece, and where it went wrong.

https://platform.openai.com/docs/api-reference/chat/object and .../chat/streaming. `spectra` is a member of our own: who
answered, and the class under which the prompt went there.
"""

from __future__ import annotations

import base64
import secrets
import struct
from typing import Final, Literal

import msgspec
from starlette.responses import Response

from spectra.api.problems import problem, status_of
from spectra.errors import SpectraError, Unavailable
from spectra.model.ai import Answer, CallDelta, Delta, Label, ToolCall, Usage, Vectors

DONE: Final = b"data: [DONE]\n\n"
_FINAL: Final = frozenset({"ai_no_provider", "ai_budget", "ai_leak_stopped", "ai_refused"})
"""Reasons for which asking again at once is of no use, whatever the status says."""
_encode = msgspec.json.Encoder().encode


class ChatTokens(msgspec.Struct):
    """Tokens, as the provider counts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatOrigin(msgspec.Struct, rename={"class_": "class"}):
    """Who answered: `provider` by its name here; `class` is that under which the prompt went there."""

    provider: str
    class_: str
    cached: bool = False


class ChatFunction(msgspec.Struct, omit_defaults=True):
    """A function and the JSON text of its arguments."""

    name: str | None = None
    arguments: str = ""


class WholeFunction(msgspec.Struct):
    """A function and the JSON text of its arguments."""

    name: str
    arguments: str


class WholeCall(msgspec.Struct):
    """A call that the model asks for."""

    id: str
    function: WholeFunction
    type: Literal["function"] = "function"


class ChatAnswer(msgspec.Struct, omit_defaults=True):
    """What the model says."""

    role: str
    content: str | None
    tool_calls: list[WholeCall] = []


class ChatChoice(msgspec.Struct):
    """The one answer there is."""

    message: ChatAnswer
    finish_reason: str
    index: int = 0
    logprobs: None = None


class ChatCompletion(msgspec.Struct):
    """An answer, whole."""

    id: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatTokens
    spectra: ChatOrigin
    object: Literal["chat.completion"] = "chat.completion"


class CallPiece(msgspec.Struct, omit_defaults=True):
    """More of a call."""

    index: int
    function: ChatFunction
    id: str | None = None
    type: str | None = None


class AnswerPiece(msgspec.Struct, omit_defaults=True):
    """More of an answer."""

    role: str | None = None
    content: str | None = None
    tool_calls: list[CallPiece] = []


class ChoicePiece(msgspec.Struct):
    """More of the one answer there is."""

    delta: AnswerPiece
    finish_reason: str | None = None
    index: int = 0
    logprobs: None = None


class ChatChunk(msgspec.Struct, omit_defaults=True):
    """A piece of an answer."""

    id: str
    created: int
    model: str
    choices: list[ChoicePiece]
    object: str
    usage: ChatTokens | None = None
    spectra: ChatOrigin | None = None


class EmbeddingRow(msgspec.Struct):
    """A vector: numbers, or the base64 of them as little-endian floats of 4 bytes."""

    index: int
    embedding: list[float] | str
    object: Literal["embedding"] = "embedding"


class EmbeddingTokens(msgspec.Struct):
    """Tokens, as the provider counts them."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct):
    """A vector for each text."""

    data: list[EmbeddingRow]
    model: str
    usage: EmbeddingTokens
    object: Literal["list"] = "list"


class ModelRow(msgspec.Struct):
    """A model that may be asked for; `spectra` is whichever comes first."""

    id: str
    created: int
    owned_by: str
    object: Literal["model"] = "model"


class ModelList(msgspec.Struct):
    """The models that may be asked for."""

    data: list[ModelRow]
    object: Literal["list"] = "list"


class FailureWords(msgspec.Struct):
    """What went wrong. `code` is the reason, `param` the field of the request that is wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class Failure(msgspec.Struct):
    """An error as OpenAI tells it, with the members of a problem beside it."""

    error: FailureWords


def completion(answer: Answer, created: int) -> ChatCompletion:
    """A whole answer. `created`: seconds since 1970."""
    calls = [_whole(call) for call in answer.calls]
    message = ChatAnswer("assistant", answer.text if answer.text or not calls else None, calls)
    return ChatCompletion(
        _new_id(),
        created,
        answer.model,
        [ChatChoice(message, answer.finish)],
        _tokens(answer.usage),
        _origin(answer.provider, answer.label, cached=answer.cached),
    )


class Chunks:
    """The events of one answer that comes piece by piece. `model` is what was asked for: who answers is told last."""

    def __init__(self, model: str, created: int, *, usage: bool, request_id: str) -> None:
        self._id = _new_id()
        self._model = model
        self._created = created
        self._usage = usage
        self._request_id = request_id

    def first(self) -> bytes:
        """Before anything else."""
        return self._event([ChoicePiece(AnswerPiece("assistant", ""))])

    def of(self, delta: Delta) -> bytes:
        """A piece; after the last one all that ends the stream. Empty where there is nothing to tell."""
        calls = [_piece(call) for call in delta.calls]
        events = b""
        if delta.text or calls:
            events = self._event([ChoicePiece(AnswerPiece(None, delta.text or None, calls))])
        return events + (self._end(delta) if delta.finish else b"")

    def broken(self, error: SpectraError) -> bytes:
        """Instead of the rest of it."""
        return _data(_encode(_failure(error) | {"request_id": self._request_id}))

    def failed(self, error: SpectraError) -> Response:
        """Instead of all of it."""
        return failure(error, self._request_id)

    def _end(self, delta: Delta) -> bytes:
        if delta.finish == "error":
            return self.broken(Unavailable("The answer broke off.", reason="ai_unavailable", hint="Ask again."))
        self._model = delta.model or self._model
        ended = ChoicePiece(AnswerPiece(), delta.finish)
        events = self._event([ended], origin=_origin(delta.provider, delta.label))
        if self._usage:
            events += self._event([], usage=_tokens(delta.usage))
        return events + DONE

    def _event(
        self, choices: list[ChoicePiece], *, usage: ChatTokens | None = None, origin: ChatOrigin | None = None
    ) -> bytes:
        kind = "chat.completion.chunk"
        return _data(_encode(ChatChunk(self._id, self._created, self._model, choices, kind, usage, origin)))


def embeddings(found: Vectors, *, packed: bool) -> EmbeddingList:
    """The vectors, as numbers or packed."""
    rows = [
        EmbeddingRow(number, _packed(vector) if packed else list(vector)) for number, vector in enumerate(found.vectors)
    ]
    return EmbeddingList(rows, found.model, EmbeddingTokens(found.usage.input, found.usage.input))


def failure(error: SpectraError, request_id: str, **members: object) -> Response:
    """The answer to a request that failed, in OpenAI's shape; it is a problem as any other beside that."""
    answer = problem(error, request_id, **_failure(error), **members)
    answer.headers["content-type"] = "application/json"
    if error.reason in _FINAL:
        answer.headers["x-should-retry"] = "false"  # OpenAI's own clients heed it
    return answer


def _failure(error: SpectraError) -> dict[str, object]:
    status = status_of(error)
    kind = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    kind = {401: "authentication_error", 403: "permission_error"}.get(status, kind)
    code = "model_not_found" if error.reason == "unknown_model" else error.reason
    return {"error": FailureWords(str(error), kind, getattr(error, "field", "") or None, code)}


def _data(encoded: bytes) -> bytes:
    return b"data: " + encoded + b"\n\n"


def _whole(call: ToolCall) -> WholeCall:
    return WholeCall(call.id, WholeFunction(call.name, call.arguments))


def _piece(call: CallDelta) -> CallPiece:
    begins = bool(call.id or call.name)
    function = ChatFunction(call.name or None, call.arguments)
    return CallPiece(call.number, function, call.id or None, "function" if begins else None)


def _tokens(usage: Usage) -> ChatTokens:
    return ChatTokens(usage.input, usage.output, usage.input + usage.output)


def _origin(provider: str, label: Label, *, cached: bool = False) -> ChatOrigin:
    return ChatOrigin(provider, label.name, cached)


def _packed(vector: tuple[float, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _new_id() -> str:
    return f"chatcmpl-{secrets.token_hex(12)}"
