"""How reports say small things: counts, lists, days, products, and the ids of endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from spectra.model.reports import WEIGHTS, FindingLine, Weight

_AS_WEIGHT: Final[dict[str, Weight]] = {"none": "info", "": "info", "unrated": "info"}


def count(number: int, one: str, many: str = "") -> str:
    """`3 hosts`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def and_more(words: Sequence[str], most: int) -> str:
    """The first `most` words, and how many more there are; words that come twice once."""
    unique = list(dict.fromkeys(word for word in words if word))
    more = len(unique) - most
    return ", ".join(unique[:most]) + (f" and {more:,} more" if more > 0 else "")


def sentence(text: str) -> str:
    """A text with a full stop, where it does not end with dots already."""
    return text if text.endswith("…") else f"{text}."


def whole_words(text: str) -> str:
    """A text that was cut off, cut at the end of a word; without a full stop."""
    if not text.endswith("…"):
        return text.rstrip(". ")
    words = text.removesuffix("…").rsplit(" ", 1)[0].rstrip(" .,;:(")
    return f"{words} …"


def day(moment: datetime | None) -> str:
    """A day as ISO 8601 has it; of nothing a dash."""
    return moment.strftime("%Y-%m-%d") if moment else "–"


def product_of(finding: FindingLine) -> str:
    """The software of a finding."""
    return " ".join(part for part in (finding.product, finding.version) if part) or "software not told"


def endpoint(ip: str, where: str) -> str:
    """The id of the record of an endpoint (`443/tcp` of a host), or of the host where there is none."""
    port, _, protocol = where.partition("/")
    return f"endpoint:{ip}/{protocol}/{port}" if protocol else f"host:{ip}"


def weight_of(word: str) -> Weight:
    """How much a severity or level weighs."""
    return word if word in WEIGHTS else _AS_WEIGHT.get(word, "info")
