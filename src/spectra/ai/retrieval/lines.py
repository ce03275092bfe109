"""A line of a context and how its words are written: what is private stands apart, what machines said is raw.

A line of `raw` words never leaves the machine and is droppable. All others are made of words of ours, of public ones
(`publicwords`) and of private values with their kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from spectra.model.ai import Fragment, Kind, Label, Part, Private

_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
_REFERENCE: Final = re.compile(r"\[(?=\s*F\d)", re.IGNORECASE)
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,40}", re.IGNORECASE)
_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62}\.)*[a-z0-9_-]{0,62}[a-z0-9_]", re.IGNORECASE)
_IDLE: Final = frozenset(
    """
    a about all an and any are as at be by can could do does for from had has have how i if in into is it its may me my
    of on or our should that the their there these they this to was we were what when where which who why will with
    would you your host hosts server servers machine
    """.split()  # noqa: SIM905 - a list of words
)
_BOOST: Final = 14.0
"""What a line gains that has every word of the question."""


class Line(NamedTuple):
    """One fact: the id of its record, a title for people, its labelled words, and its priority (0..100)."""

    record: str
    title: str
    fragment: Fragment
    score: float


class Focus:
    """What a question is about, by its words."""

    def __init__(self, question: str) -> None:
        self._words = frozenset(words(question))

    def __bool__(self) -> bool:
        return bool(self._words)

    def boost(self, text: str) -> float:
        """What a line of this text gains: in proportion to how many words of the question it has."""
        return _BOOST * len(self._words.intersection(words(text))) / len(self._words) if self._words else 0.0


def words(text: str) -> list[str]:
    """The words of a text that say something, in lower case."""
    found = (word.lower().rstrip(".") for word in _WORD.findall(text[:4000]))
    return [word for word in found if word not in _IDLE]


def raw(text: str, most: int) -> str:
    """Raw words on one line: no control characters, at most `most` characters, nothing that reads as a reference."""
    return _REFERENCE.sub("(", _BLANKS.sub(" ", text[: 4 * most]).strip())[:most]


def line(record: str, title: str, parts: Iterable[Part], score: float) -> Line:
    """A line of our own and public words, and of private values."""
    return Line(record, title, Fragment(joined(parts), Label.CLOUD_DIRECT, record=record), score)


def raw_line(record: str, title: str, text: str, score: float) -> Line:
    """A line of what machines or people said."""
    return Line(record, title, Fragment((text,), Label.LOCAL_ONLY, droppable=True, record=record), score)


def joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts without empty ones, words that follow each other being one."""
    found: list[Part] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif isinstance(part, Private) or part:
            found.append(part)
    return tuple(found)


def listed(groups: Iterable[Iterable[Part]], between: str = ", ") -> list[Part]:
    """Groups of parts one after another."""
    found: list[Part] = []
    for group in groups:
        found += [between, *group] if found else group
    return found


def address(ip: str) -> Private:
    """An address."""
    return Private(Kind.ADDRESS, ip)


def name(text: str) -> list[Part]:
    """A hostname, perhaps with a star in front; what cannot be one is an identifier of some other kind."""
    star = "*." if text.startswith("*.") else ""
    bare = text.removeprefix("*.")
    if _NAME.fullmatch(bare):
        return [star, Private(Kind.HOSTNAME, bare)]
    return [Private(Kind.ID, raw(text, 120))] if raw(text, 120) else []


def day(moment: datetime) -> str:
    """A day as ISO 8601 has it."""
    return moment.strftime("%Y-%m-%d")
