"""What a model is shown of a target: facts by priority within a bound of bytes, each with a reference to cite it by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Final, NamedTuple, Protocol

import msgspec

from spectra.model.ai import Fragment
from spectra.model.findingrecords import FindingRecord
from spectra.model.lifetimes import Lifetimes
from spectra.model.records import HostRecord
from spectra.model.similar import SimilarPage
from spectra.model.summaries import Target
from spectra.store.database import Database
from spectra.store.findings import Judge

BUDGET: Final = 8192
"""Bytes of context, rendered, that a model is shown by default."""


class Nearest(Protocol):
    """Finds CVEs that are like a text, by words and by vectors."""

    @property
    def leaves(self) -> bool:
        """Whether a text leaves this machine for that: then it is given public words alone."""
        ...

    def to_text(self, text: str, k: int) -> SimilarPage:
        """The `k` that are most alike, the best first."""
        ...


class Sources(NamedTuple):
    """Where facts come from. `judge` says how urgent findings are; None: none are told."""

    database: Database
    nearest: Nearest | None = None
    judge: Judge | None = None
    lifetimes: Lifetimes = Lifetimes()


class Item(msgspec.Struct, frozen=True):
    """One fact of a context.

    `ref` is what a model cites it by (`F1`), `record` the id of the record that it stands for, `title` what a person
    knows that by (private), `fragment` the labelled text of one line without its reference, `score` (0..100) its
    priority.
    """

    ref: str
    record: str
    title: str
    fragment: Fragment
    score: float


class Context(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """Facts of a target, the most important first. `left_out` had no room. `hosts` are those it tells of, whole, and
    `findings` their open ones, the most urgent first.
    """

    target: Target
    items: tuple[Item, ...]
    hosts: tuple[HostRecord, ...] = ()
    findings: tuple[FindingRecord, ...] = ()
    left_out: int = 0
    note: str = ""
    """What could not be looked up, in words; empty where all was."""

    @cached_property
    def refs(self) -> Mapping[str, Item]:
        """The items by reference."""
        return {item.ref: item for item in self.items}

    @cached_property
    def records(self) -> Mapping[str, Item]:
        """The items by the id of their record."""
        return {item.record: item for item in self.items}

    @property
    def facts(self) -> tuple[str, ...]:
        """A key for each fact, which changes with it: for `Prompt.facts`."""
        return tuple(f"{item.record}={_digest(item.fragment)}" for item in self.items)

    @property
    def fragments(self) -> tuple[Fragment, ...]:
        """What a model reads: each item on a line of its own, `[F1] ...`, in order."""
        return tuple(
            item.fragment._replace(parts=(f"[{item.ref}] ", *item.fragment.parts, "\n")) for item in self.items
        )

    @property
    def size(self) -> int:
        """Bytes (UTF-8) of all that a model reads, as it stands."""
        return sum(len(fragment.text.encode()) for fragment in self.fragments)


def _digest(fragment: Fragment) -> str:
    return hashlib.sha256(msgspec.json.encode((fragment.label, fragment.parts))).hexdigest()[:32]
