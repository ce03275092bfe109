"""Whether an answer holds: three parts, and each sentence cites facts that were shown.

Reasons for a refusal are told to the model that is asked again, so they are generic: they repeat nothing of the answer
but references. An answer may speak only of CVEs and addresses that facts have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from spectra.ai.privacy.detector import find
from spectra.ai.retrieval.context import Item
from spectra.ai.retrieval.lines import raw
from spectra.model.ai import Kind, Label
from spectra.model.explanations import LEVELS, Level
from spectra.model.summaries import Claim, RiskClaim

MAX_ANSWER: Final = 64 * 1024
"""Characters of an answer that are read."""
MAX_WORDS: Final = 700
"""Characters of one sentence."""
MAX_CITES: Final = 12
MOST: Final[Mapping[str, int]] = {"summary": 6, "risks": 12, "next_steps": 8}
"""Sentences of each part; a summary and next steps have one at least."""
MAX_REASONS: Final = 8

_FENCE: Final = re.compile(r"\A\s*```[a-z]*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL | re.IGNORECASE)
_REFERENCE: Final = re.compile(r"\s*\[?\s*(F\d{1,4})\s*\]?\s*", re.IGNORECASE)
_IN_WORDS: Final = re.compile(r"\s*\[F\d{1,4}(?:,\s*F\d{1,4})*\]", re.IGNORECASE)
_CVE: Final = re.compile(r"CVE-\d{4}-\d{4,9}", re.IGNORECASE)
_PLACES: Final = frozenset({Kind.ADDRESS, Kind.NETWORK, Kind.MAC})


def schema(refs: Sequence[str]) -> dict[str, object]:
    """What models are asked to answer with: each sentence cites some of `refs`, and nothing else can be written where a
    server holds its model to a schema.
    """
    cites: dict[str, object] = {"type": "array", "items": {"type": "string", "enum": list(refs)}, "minItems": 1}
    claim = _object(says={"type": "string"}, cites=cites)
    risk = _object(level={"type": "string", "enum": list(LEVELS)}, says={"type": "string"}, cites=cites)
    parts: dict[str, dict[str, object]] = {
        name: {"type": "array", "items": risk if name == "risks" else claim, "minItems": 0 if name == "risks" else 1}
        for name in MOST
    }
    for name, most in MOST.items():
        parts[name]["maxItems"] = most
    return _object(**parts)


def _object(**properties: dict[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


class _Said(msgspec.Struct):
    says: str
    cites: list[str]


class _Risk(_Said):
    level: Level


class _Answer(msgspec.Struct):
    summary: list[_Said]
    risks: list[_Risk]
    next_steps: list[_Said]


class Parts(NamedTuple):
    """The three parts of a summary."""

    summary: tuple[Claim, ...]
    risks: tuple[RiskClaim, ...]
    next_steps: tuple[Claim, ...]

    @property
    def claims(self) -> Sequence[Claim]:
        """All of them."""
        return (*self.summary, *self.risks, *self.next_steps)


def checked(text: str, items: Sequence[Item], label: Label, question: str = "") -> tuple[Parts | None, tuple[str, ...]]:
    """The three parts that `text` has, or None and why it is refused.

    `items` are the facts that were shown under the class `label`: those that were withheld for it cannot be cited.
    """
    if len(text) > MAX_ANSWER:
        return None, ("the answer is too long",)
    fenced = _FENCE.match(text)
    try:
        answer = msgspec.json.decode(fenced[1] if fenced else text, type=_Answer)
    except (ValueError, RecursionError):
        return None, ("the answer is not the JSON object that was asked for",)
    shown = {item.ref: item for item in items if item.fragment.effective <= label}
    known = " ".join((question, *(item.fragment.text for item in shown.values()))).lower()
    reasons = tuple(_reasons(answer, shown, known))
    if reasons:
        return None, reasons[:MAX_REASONS]
    risks = [RiskClaim(_words(one.says), _cites(one, shown), one.level) for one in answer.risks]
    risks.sort(key=lambda one: LEVELS.index(one.level))
    return Parts(
        tuple(Claim(_words(one.says), _cites(one, shown)) for one in answer.summary),
        tuple(risks),
        tuple(Claim(_words(one.says), _cites(one, shown)) for one in answer.next_steps),
    ), ()


def _reasons(answer: _Answer, shown: Mapping[str, Item], known: str) -> Iterator[str]:
    parts: dict[str, Sequence[_Said]] = {
        "summary": answer.summary,
        "risks": answer.risks,
        "next_steps": answer.next_steps,
    }
    for name, said in parts.items():
        if not said and name != "risks":
            yield f"{name} is empty"
        if len(said) > MOST[name]:
            yield f"{name} has more than {MOST[name]} entries"
        for number, one in enumerate(said[: MOST[name]], 1):
            for reason in _of_one(one, shown, known):
                yield f"{name} {number} {reason}"


def _of_one(one: _Said, shown: Mapping[str, Item], known: str) -> Iterator[str]:
    if not _words(one.says):
        yield "says nothing"
    if len(one.says) > MAX_WORDS:
        yield f"is longer than {MAX_WORDS} characters"
        return
    if not one.cites:
        yield "cites nothing"
    if len(one.cites) > MAX_CITES:
        yield f"cites more than {MAX_CITES} facts"
    for cited in one.cites[:MAX_CITES]:
        found = _REFERENCE.fullmatch(cited[:40])
        if found is None:
            yield "cites something that is no reference such as F1"
        elif found[1].upper() not in shown:
            yield f"cites {found[1].upper()}, which is none of the facts"
    if any(not _has(known, cve) for cve in _CVE.findall(one.says)):
        yield "names a CVE that is in none of the facts"
    if any(s.kind in _PLACES and not _has(known, one.says[s.start : s.end]) for s in find(one.says)):
        yield "names an address that is in none of the facts"


def _has(known: str, value: str) -> bool:
    """Whether the facts have `value` as it stands, and not as a part of something longer."""
    return re.search(rf"(?<![0-9a-z.:]){re.escape(value.lower())}(?![0-9a-z:]|\.\d)", known) is not None


def _words(says: str) -> str:
    """A sentence on one line, without the references that some models put into it."""
    return raw(_IN_WORDS.sub("", says), MAX_WORDS)


def _cites(one: _Said, shown: Mapping[str, Item]) -> tuple[str, ...]:
    """The records that are cited, each once."""
    found = (_REFERENCE.fullmatch(cited) for cited in one.cites)
    return tuple(dict.fromkeys(shown[match[1].upper()].record for match in found if match))
