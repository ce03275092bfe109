"""What a model says, as the server tells it piece by piece: printed as it comes, or taken as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Final

import msgspec

from spectra.cli.client import BadAnswer
from spectra.cli.safe import safe_lines
from spectra.errors import SpectraError

_DATA: Final = b"data:"
_DONE: Final = b"[DONE]"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, and who gave it; `label` is the class under which the question went there."""

    text: str
    provider: str
    model: str
    label: str
    finish: str
    input: int = 0
    output: int = 0


class _Piece(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Piece
    finish_reason: str | None = None


class _Tokens(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Origin(msgspec.Struct, rename={"label": "class"}):
    provider: str
    label: str


class _Wrong(msgspec.Struct):
    message: str
    code: str | None = None


class _Event(msgspec.Struct):
    model: str = ""
    choices: list[_Choice] = []
    usage: _Tokens | None = None
    spectra: _Origin | None = None
    error: _Wrong | None = None


class Replies:
    """One answer: `whole` or `tell` once. Both raise `SpectraError` where it breaks off."""

    def __init__(self, events: Iterator[_Event]) -> None:
        self._events = events

    def whole(self) -> Reply:
        """All of it."""
        return self._read(None)

    def tell(self, screen: IO[str]) -> Reply:
        """All of it, printed as it comes, with nothing in it that acts on a terminal; a line end after it."""
        try:
            return self._read(screen)
        finally:
            screen.write("\n")
            screen.flush()

    def _read(self, screen: IO[str] | None) -> Reply:
        parts: list[str] = []
        origin, tokens, finish, model = _Origin("", ""), _Tokens(), "", ""
        for event in self._events:
            model = event.model or model
            origin, tokens = event.spectra or origin, event.usage or tokens
            for choice in event.choices:
                finish = choice.finish_reason or finish
                if said := choice.delta.content:
                    parts.append(said)
                    if screen is not None:
                        screen.write(safe_lines(said))
                        screen.flush()
        return Reply(
            text="".join(parts),
            provider=origin.provider,
            model=model,
            label=origin.label,
            finish=finish,
            input=tokens.prompt_tokens,
            output=tokens.completion_tokens,
        )


def replies(lines: Iterable[bytes]) -> Replies:
    """The answer in the `lines` of a stream of server-sent events."""
    return Replies(_events(lines))


def _events(lines: Iterable[bytes]) -> Iterator[_Event]:
    for line in lines:
        if not line.startswith(_DATA):
            continue
        data = line.removeprefix(_DATA).strip()
        if data == _DONE:
            return
        try:
            event = msgspec.json.decode(data, type=_Event)
        except msgspec.DecodeError as error:
            raise BadAnswer(f"the server told an answer in a way this version does not read: {error}") from error
        if event.error is not None:
            raise SpectraError(event.error.message, reason=event.error.code or "ai_unavailable")
        yield event
    raise BadAnswer("the answer broke off", hint="Ask again.")
