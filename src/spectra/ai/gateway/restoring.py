"""Private values back into the pieces of an answer."""

from __future__ import annotations

from spectra.ai.gateway.outgoing import Outgoing
from spectra.ai.privacy.redaction import Restorer
from spectra.model.ai import CallDelta, Delta


class Restoring:
    """Of one stream: its text, and the arguments of each of its calls, are streams of their own."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._redactor = outgoing.redactor
        self._text = outgoing.redactor.stream(json=outgoing.schema is not None) if outgoing.redactor else None
        self._calls: dict[int, Restorer] = {}

    def piece(self, piece: Delta) -> Delta:
        """A piece with private values in it, without what may be the beginning of a pseudonym."""
        if self._text is None:
            return piece
        calls = tuple(call._replace(arguments=self._fed(call)) for call in piece.calls)
        return piece._replace(
            text=self._text.feed(piece.text) if piece.text else "",
            calls=tuple(call for call in calls if call.id or call.name or call.arguments),
        )

    def end(self, piece: Delta) -> Delta:
        """The last piece, with what was held back before it."""
        if self._text is None:
            return piece
        last = self.piece(piece)
        rests = ((number, restorer.end()) for number, restorer in self._calls.items())
        return last._replace(
            text=last.text + self._text.end(),
            calls=last.calls + tuple(CallDelta(number, arguments=rest) for number, rest in rests if rest),
        )

    def _fed(self, call: CallDelta) -> str:
        if not call.arguments or self._redactor is None:
            return call.arguments
        restorer = self._calls.get(call.number)
        if restorer is None:
            restorer = self._calls[call.number] = self._redactor.stream(json=True)
        return restorer.feed(call.arguments)
