"""Private values out of what is sent, and back into what is answered: whole texts, streams, arguments of tool calls."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from spectra.ai.privacy.addresses import read_network
from spectra.ai.privacy.detector import certain
from spectra.ai.privacy.matching import Edge, Index, lowered, stands
from spectra.ai.privacy.pseudonyms import Pseudonyms, edge_of, elsewhere
from spectra.ai.privacy.restoring import Backs, Restorer, escaped
from spectra.model.ai import Fragment, Kind, Label, Private

_LITERAL: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_CODED: Final = re.compile(r'[\\/"@:%&+]')


class _Piece(NamedTuple):
    """`text[start:end]` is `private`; `told`: a label says so."""

    start: int
    end: int
    private: Private
    told: bool = False


class Redactor:
    """For one prompt and its answer. Not thread-safe."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._names = pseudonyms
        self._reals: Index[Private] = Index()
        self._backs = Backs()
        self._added: set[Private] = set()

    def add(self, privates: Iterable[Private]) -> None:
        """Make these known; all of a prompt's at once, before any text, so that networks come before their hosts."""
        new = sorted({one for one in privates if one.value} - self._added, key=_order)
        self._added.update(new)
        self._names.reserve(new)
        for one in new:
            self._learn(one)
        for one in new:
            for implied in self._names.implied(one):
                if implied.value and lowered(implied.value) not in self._reals:
                    self._learn(implied)

    def text(self, fragment: Fragment) -> str:
        """The text of `fragment` with pseudonyms for its private values, for every known one that stands in its words,
        too, and for what the detector is certain of. `restore` makes of it what it was.
        """
        self.add(fragment.privates)
        text = fragment.text
        if not text:
            return ""
        low = lowered(text)
        pieces = _merged(text, [*_told(fragment), *self._found(text, low)])
        made = self._replaced(text, low, pieces)
        if self._backs.restore(made) == text:
            return made
        # What is no pseudonym but looks like one is itself replaced, and nothing depends on what stands beside it.
        alike = [_Piece(h.start, h.end, Private(Kind.ID, text[h.start : h.end])) for h in self._backs.plain.hits(low)]
        return self._replaced(text, low, _merged(text, pieces + alike), solid=True)

    def words(self, text: str) -> str:
        """The same for generic words, such as a tool's description or the JSON text of a schema."""
        return self.text(Fragment((text,), Label.CLOUD_DIRECT))

    def restore(self, text: str) -> str:
        """`text` with private values in place of their pseudonyms. Those that a model made up stay."""
        self._backs.widen()
        return self._backs.restore(text)

    def restore_json(self, arguments: str) -> str:
        """The same within the strings of a JSON text, which stays valid; another text is restored as it is."""
        self._backs.widen()
        made, count = _LITERAL.subn(self._literal, arguments)
        return made if count else self._backs.restore(arguments)

    def stream(self, *, json: bool = False) -> Restorer:
        """A restorer for one stream; `json` for the arguments of one tool call."""
        if json:
            self._backs.widen_json()
            return Restorer(self._backs.json)
        self._backs.widen()
        return Restorer(self._backs.plain)

    def left(self, text: str) -> tuple[Private, ...]:
        """The known private values that still stand in `text`, by the rules by which they are replaced."""
        low = lowered(text)
        ours = [(hit.start, hit.end) for hit in self._backs.plain.hits(low)]
        return tuple(hit.item for hit in self._reals.hits(low) if not _within(hit.start, hit.end, ours))

    def leaks(self, body: bytes) -> list[Private]:
        """The private values that a request's body still has in it: known ones, and what the detector is certain of.

        JSON and percent escapes are read. Pseudonyms are none. Empty means that it may leave.
        """
        found: list[Private] = []
        for text in _views(body):
            found += self.left(text)
            ours = [(hit.start, hit.end) for hit in self._backs.plain.hits(lowered(text))]
            found += [
                Private(span.kind, text[span.start : span.end])
                for span in certain(text)
                if not _within(span.start, span.end, ours)
            ]
        return found

    def _learn(self, private: Private) -> None:
        """Names it, and has it found wherever it stands."""
        self._backs.put(self._names.of(private), private.value, edge_of(private))
        if elsewhere(private):
            for spelled in _spellings(private):
                self._reals.put(lowered(spelled.value), edge_of(spelled), spelled)

    def _found(self, text: str, low: str) -> list[_Piece]:
        """What of `text` is private, though no label may say so."""
        known = [
            _Piece(hit.start, hit.end, Private(hit.item.kind, text[hit.start : hit.end]))
            for hit in self._reals.hits(low)
        ]
        sure = [_Piece(s.start, s.end, Private(s.kind, text[s.start : s.end])) for s in certain(text)]
        return known + sure

    def _replaced(self, text: str, low: str, pieces: list[_Piece], *, solid: bool = False) -> str:
        made: list[str] = []
        end = 0
        for piece in pieces:
            edge = edge_of(piece.private)
            if solid or not stands(low, piece.start, piece.end, edge):
                name, edge = self._names.solid(piece.private), Edge.SOLID
            else:
                name = self._names.of(piece.private)
            self._backs.put(name, piece.private.value, edge)
            made += (text[end : piece.start], name)
            end = piece.end
        made.append(text[end:])
        return "".join(made)

    def _literal(self, found: re.Match[str]) -> str:
        try:
            value = json.loads(found[0], strict=False)
        except ValueError:
            self._backs.widen_json()
            return self._backs.restore(found[0], self._backs.json)
        restored = self._backs.restore(value)
        return found[0] if restored == value else f'"{escaped(restored)}"'


def _order(private: Private) -> tuple[int, int, str, str]:
    """Wide networks first: what lies in them is named by them."""
    found = read_network(private.value) if private.kind is Kind.NETWORK else None
    return (0 if found else 1), (found.length if found else 0), private.kind, private.value


def _spellings(private: Private) -> list[Private]:
    """The value as it is, within JSON and within a URL."""
    kind, value = private
    if not _CODED.search(value):
        return [private]
    coded = dict.fromkeys((value, escaped(value), value.replace("/", "\\/"), quote(value, safe="")))
    return [Private(kind, one) for one in coded]


def _told(fragment: Fragment) -> list[_Piece]:
    pieces: list[_Piece] = []
    at = 0
    for part in fragment.parts:
        length = len(part) if isinstance(part, str) else len(part.value)
        if isinstance(part, Private) and length:
            pieces.append(_Piece(at, at + length, part, told=True))
        at += length
    return pieces


def _merged(text: str, pieces: list[_Piece]) -> list[_Piece]:
    """In order, none over another: of two the one that has the other in it, else both as one."""
    kept: list[_Piece] = []
    for piece in sorted(pieces, key=lambda one: (one.start, -one.end, not one.told)):
        last = kept[-1] if kept else None
        if last is None or piece.start >= last.end:
            kept.append(piece)
        elif piece.end > last.end:
            kept[-1] = _Piece(last.start, piece.end, Private(Kind.ID, text[last.start : piece.end]))
    return kept


def _within(start: int, end: int, spans: list[tuple[int, int]]) -> bool:
    """Whether one of `spans`, which are in order, has all of it."""
    low, high = 0, len(spans)
    while low < high:
        middle = (low + high) // 2
        if spans[middle][1] < end:
            low = middle + 1
        else:
            high = middle
    return low < len(spans) and spans[low][0] <= start


def _views(body: bytes) -> list[str]:
    """The texts that somebody may read out of `body`."""
    text = body.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        text = "\n".join(_strings(json.loads(text)))
    plain = unquote(text) if "%" in text else text
    return [text] if plain == text else [text, plain]


def _strings(value: object) -> Iterable[str]:
    waiting: list[object] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        elif isinstance(one, list):
            waiting += one  # pyright: ignore[reportUnknownArgumentType]
        elif one is not None:
            yield str(one)
