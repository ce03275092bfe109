"""Sections of a report as text that a person can edit, and back.

A paragraph is a statement. It may begin with marks in brackets, `[high]` (a weight), `[met]` (a verdict) or
`[= a title]`, and end with the facts it rests on: `[F3, F7]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, cast, get_args

from spectra.model.reports import MAX_STATEMENTS, ReportDocument, Section, Statement, Verdict, Weight
from spectra.web.forms import Form

PREFIX: Final = "section-"
_MARK: Final = re.compile(r"\[([^\[\]]{1,300})\]\s*")
_CITES: Final = re.compile(r"\s*\[([^\[\]]{1,2000})\]$")
_REF: Final = re.compile(r"F[0-9]{1,6}|[a-z]+:\S+")
_WEIGHTS: Final = frozenset(get_args(Weight)) - {""}
_VERDICTS: Final = frozenset(get_args(Verdict)) - {""}


class Draft(NamedTuple):
    """A section as a person edits it."""

    id: str
    title: str
    text: str
    statements: tuple[Statement, ...] = ()


def drafts(document: ReportDocument, refs: Mapping[str, str]) -> dict[str, Draft]:
    """Every section of `document` as text; `refs` has the reference of a fact by the id of its record."""
    return {one.id: Draft(one.id, one.title, _text(one, refs), one.statements) for one in document.sections}


def _text(section: Section, refs: Mapping[str, str]) -> str:
    return "\n\n".join(_paragraph(one, refs) for one in section.statements)


def _paragraph(one: Statement, refs: Mapping[str, str]) -> str:
    marks = [one.weight, one.verdict, f"= {one.title}" if one.title else ""]
    before = " ".join(f"[{mark}]" for mark in marks if mark)
    cites = ", ".join(dict.fromkeys(refs.get(cite, cite) for cite in one.cites))
    said = " ".join(one.text.split())
    return " ".join(part for part in (before, said, f"[{cites}]" if cites else "") if part)


def sections_of(form: Form) -> dict[str, Draft]:
    """The sections of a form whose fields are called `section-ID`; those that are empty are left as they stand."""
    found: dict[str, Draft] = {}
    for name in form.names():
        if name.startswith(PREFIX) and (text := form.one(name)):
            section = name.removeprefix(PREFIX)
            found[section] = Draft(section, section.replace("-", " ").capitalize(), text, statements(text))
    return found


def statements(text: str) -> tuple[Statement, ...]:
    """A statement for each paragraph of `text`, at most 51: one more than a section may have is told by the API."""
    paragraphs = re.split(r"\r?\n[ \t]*\r?\n", text)
    return tuple(_statement(" ".join(one.split())) for one in paragraphs if one.strip())[: MAX_STATEMENTS + 1]


def _statement(said: str) -> Statement:
    weight, verdict, title = "", "", ""
    while found := _MARK.match(said):
        mark = found[1].strip()
        if mark in _WEIGHTS:
            weight = mark
        elif mark in _VERDICTS:
            verdict = mark
        elif mark.startswith("="):
            title = mark[1:].strip()
        else:
            break
        said = said[found.end() :]
    cites: tuple[str, ...] = ()
    if found := _CITES.search(said):
        named = [one.strip() for one in found[1].split(",")]
        if all(_REF.fullmatch(one) for one in named):
            cites, said = tuple(named), said[: found.start()]
    return Statement(said, cites, title, cast("Weight", weight), cast("Verdict", verdict))
