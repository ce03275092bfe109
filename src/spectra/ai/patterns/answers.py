"""What a model answered, read as the sections of a report: each statement cites facts that it was shown, or it is not
taken. What is said of an answer that does not hold has nothing of it in its words, so that it may go to any provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec

from spectra.ai.patterns import schemas
from spectra.ai.patterns.schemas import MAX_PROBLEMS, Problem, Schema
from spectra.model.reports import MAX_CITES, MAX_TEXT, Form, Section, Statement

MAX_ANSWER: Final = 256 * 1024
"""Characters of an answer."""
_INLINE: Final = re.compile(r"[ \t]*\[(F\d{1,5}(?:[ ,;]+F\d{1,5}){0,20})\]")
_REF: Final = re.compile(r"F\d{1,5}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_FENCE: Final = re.compile(r"```[a-zA-Z]{0,10}[ \t]*\n(.{0,262144}?)\n?```", re.DOTALL)
_SPACES: Final = re.compile(r"\s+")


class Plan(NamedTuple):
    """A section that a pattern asks for."""

    id: str
    title: str
    form: Form


class Read(NamedTuple):
    """The sections of an answer, and what does not hold of it; only one without reasons is taken."""

    sections: tuple[Section, ...]
    reasons: tuple[str, ...]


def read(text: str, plans: Sequence[Plan], schema: Schema, refs: Mapping[str, str]) -> Read:
    """The answer `text` as the sections `plans`; `refs` are the references of facts with the ids of their records."""
    if len(text) > MAX_ANSWER:
        return Read((), (f"It has more than {MAX_ANSWER} characters.",))
    value = _parsed(text)
    if value is None:
        return Read((), ("It is not one JSON object.",))
    found = schemas.problems(value, schema)
    sections: list[Section] = []
    if not found:
        for plan in plans:
            said, wrong = _section(cast("list[dict[str, Any]]", value.get(plan.id, [])), plan, refs)
            sections.append(said)
            found += wrong
    reasons = tuple(f"`{path.lstrip('.') or 'the answer'}`: {what}." for path, what in found[:MAX_PROBLEMS])
    return Read(() if reasons else tuple(sections), reasons)


def _parsed(text: str) -> dict[str, Any] | None:
    """The JSON object of an answer, also where it stands in a fence or between words."""
    fenced = _FENCE.search(text)
    begin, end = text.find("{"), text.rfind("}")
    for candidate in (text, fenced[1] if fenced else "", text[begin : end + 1] if 0 <= begin < end else ""):
        try:
            value = msgspec.json.decode(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return cast("dict[str, Any]", value)
    return None


def _section(items: list[dict[str, Any]], plan: Plan, refs: Mapping[str, str]) -> tuple[Section, list[Problem]]:
    statements: list[Statement] = []
    wrong: list[Problem] = []
    for number, item in enumerate(items):
        where = f"{plan.id}[{number}]"
        text, inline = _uncited(str(item.get("text", "")))
        cites = [*(str(cite).strip().strip("[]") for cite in item.get("cites", ())), *inline]
        wrong += _doubts(where, text, cites, refs)
        if not wrong:
            statements.append(
                Statement(
                    text=text[:MAX_TEXT],
                    cites=tuple(dict.fromkeys(refs[cite] for cite in cites))[:MAX_CITES],
                    title=clean(str(item.get("title", "")))[:300],
                    weight=item.get("weight", ""),
                    verdict=item.get("verdict", ""),
                )
            )
    return Section(id=plan.id, title=plan.title, form=plan.form, by="model", statements=tuple(statements)), wrong


def _doubts(where: str, text: str, cites: Sequence[str], refs: Mapping[str, str]) -> Iterator[Problem]:
    if not text:
        yield f"{where}.text", "it says nothing"
    if not cites:
        yield f"{where}.cites", "it cites no fact"
    if any(cite not in refs for cite in cites):
        yield f"{where}.cites", "it cites what is not the reference of a fact; only [F1] and the like that were given"


def _uncited(text: str) -> tuple[str, list[str]]:
    """A text without the references that stand in it, and those."""
    found = [ref for part in _INLINE.findall(text) for ref in _REF.findall(part)]
    return clean(_INLINE.sub("", text)), found


def clean(text: str) -> str:
    """A text on one line, without what steers terminals or turns the direction of writing."""
    return _SPACES.sub(" ", _CONTROL.sub(" ", text)).strip()
