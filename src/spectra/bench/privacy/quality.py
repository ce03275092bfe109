"""How much of what is private in free text the detector finds, and how much of what it finds is private."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from spectra.ai.privacy.detector import Span, find
from spectra.bench.privacy.corpus import Marked, Value


class Score(msgspec.Struct):
    """Values of a kind: how many there were, how many were found in all their characters, and as what they are; spans
    that were said to be of this kind, and how many of those have something private in them.
    """

    values: int = 0
    found: int = 0
    named: int = 0
    spans: int = 0
    right: int = 0

    @property
    def recall(self) -> float:
        """Share of the values of which no character would have been left."""
        return self.found / self.values if self.values else 1.0

    @property
    def precision(self) -> float:
        """Share of the spans that had something private in them."""
        return self.right / self.spans if self.spans else 1.0


class Quality(msgspec.Struct):
    """Scores by kind; the values that were missed and the spans that were none, with a little of their texts."""

    kinds: dict[str, Score]
    missed: list[str]
    wrong: list[str]

    @property
    def total(self) -> Score:
        """All kinds together."""
        whole = Score()
        for score in self.kinds.values():
            for name in Score.__struct_fields__:
                setattr(whole, name, getattr(whole, name) + getattr(score, name))
        return whole


def measure(texts: Iterable[Marked]) -> Quality:
    """The detector on these texts. Precision counts on those alone of which everything private is marked."""
    quality = Quality({}, [], [])
    for marked in texts:
        spans = find(marked.text)
        for value in marked.values:
            score = quality.kinds.setdefault(value.kind, Score())
            score.values += 1
            if covered(value, spans):
                score.found += 1
                score.named += any(s.kind is value.kind and s.start <= value.start < s.end for s in spans)
            else:
                quality.missed.append(
                    f"{value.kind} {value.text!r} in {_around(marked.text, value.start, len(value.text))}"
                )
        for span in spans if marked.whole else ():
            score = quality.kinds.setdefault(span.kind, Score())
            score.spans += 1
            if any(v.start < span.end and span.start < v.start + len(v.text) for v in marked.values):
                score.right += 1
            else:
                said = marked.text[span.start : span.end]
                quality.wrong.append(f"{span.kind} {said!r} in {_around(marked.text, span.start, len(said))}")
    return quality


def covered(value: Value, spans: Sequence[Span]) -> bool:
    """Whether each letter and digit of a value is in a span."""
    places = {place for span in spans for place in range(span.start, span.end)}
    return all(value.start + n in places for n, char in enumerate(value.text) if char.isalnum())


def _around(text: str, at: int, length: int) -> str:
    return repr(text[max(0, at - 30) : at + length + 15])
