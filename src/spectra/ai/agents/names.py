"""Names of domains: the part that somebody registered, how usual its letters are, and how much like noise it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

import msgspec

ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789-"
EDGE: Final = "^"
"""Stands for the beginning and the end of a label."""
UNSEEN: Final = -10.0
"""Bits of a pair with a character that no label of the table has."""

# Second-level labels under which countries register names. Not the Public Suffix List, which changes every week: a
# suffix that is missing here makes one group of what are several, never an alarm by itself.
_UNDER: Final = frozenset(
    {"ac", "asso", "co", "com", "ed", "edu", "fin", "firm", "gen", "go", "gob", "gouv", "gov", "govt", "gr", "id"}
    | {"idf", "ind", "info", "ltd", "me", "mil", "mod", "ne", "net", "nhs", "nic", "nom", "or", "org", "plc", "police"}
    | {"sch", "school", "web"}
)


class _Table(msgspec.Struct):
    names: int
    symbols: str
    bits: list[list[float]]


@cache
def _bits() -> dict[str, float]:
    raw = resources.files("spectra.ai.agents").joinpath("data/bigrams.json").read_bytes()
    table = msgspec.json.decode(raw, type=_Table)
    return {
        a + b: value
        for a, row in zip(table.symbols, table.bits, strict=True)
        for b, value in zip(table.symbols, row, strict=True)
    }


def registered(name: str) -> str:
    """The part of a name that was registered: `example.co.uk` of `www.example.co.uk`; the name itself where it has
    fewer labels.
    """
    labels = name.strip(".").lower().split(".")
    keep = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _UNDER else 2
    return ".".join(labels[-keep:])


def likelihood(label: str) -> float:
    """Mean bits a pair of letters (log2 of its probability) of a label: -4 is usual, below -5 one in 16 real names."""
    bits, edged = _bits(), f"{EDGE}{label}{EDGE}"
    return sum(bits.get(edged[at : at + 2], UNSEEN) for at in range(len(edged) - 1)) / (len(edged) - 1)


def entropy(texts: Iterable[str]) -> float:
    """Shannon entropy of the characters of all texts together, in bits a character; 0 for none."""
    counts = Counter(c for text in texts for c in text)
    total = sum(counts.values())
    return -sum(n / total * math.log2(n / total) for n in counts.values()) if total else 0.0
