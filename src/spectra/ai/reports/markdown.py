"""A report as Markdown (CommonMark with GitHub's tables). What was said is text: nothing of it is read as markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from spectra.ai.reports.view import SectionView, TableView, View

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")
_LEADING: Final = re.compile(r"^(\d+)([.)])(?=\s|$)|^([-+=])")
_LINK: Final = re.compile(r"(?i)\b(https?|ftp|mailto|www)([:.])")


def rendered(view: View) -> str:
    """The whole report."""
    return "\n".join(_lines(view)).rstrip() + "\n"


def _lines(view: View) -> Iterator[str]:
    yield f"# {text(view.title)}: {text(view.target)}"
    yield from ("", f"*{text(view.purpose)}*", "")
    yield from (f"- **{text(pair.label)}:** {text(pair.value)}" for pair in view.meta)
    yield from ("", f"> {text(view.notice)}", "")
    if view.figures:
        yield "| " + " | ".join(text(pair.label) for pair in view.figures) + " |"
        yield "|" + " ---: |" * len(view.figures)
        yield "| " + " | ".join(text(pair.value) for pair in view.figures) + " |"
        yield ""
    if view.severities:
        yield "Weaknesses by severity: " + ", ".join(f"**{p.value}** {text(p.label)}" for p in view.severities) + "."
        yield ""
    for section in view.sections:
        yield from _section(section)
    for table in view.tables:
        yield from _table(table)
    if view.sources:
        yield from ("## Sources", "")
        yield from (f"{one.number}. {text(one.title)} (`{_code(one.id)}`)" for one in view.sources)
        yield ""
    if view.notes:
        yield from ("## Notes", "", *(f"- {text(note)}" for note in view.notes), "")
    yield f"Report `{view.id}`, SHA-256 of the document `{view.digest}`."


def _section(section: SectionView) -> Iterator[str]:
    by = f" *(by {text(section.by)})*" if section.by else ""
    yield from (f"## {text(section.title)}{by}", "")
    for number, said in enumerate(section.said, 1):
        badge = f"**[{text(said.badge)}]** " if said.badge else ""
        title = f"**{text(said.title)}.** " if said.title else ""
        cites = f" [{', '.join(map(str, said.cites))}]" if said.cites else ""
        mark = {"text": "", "steps": f"{number}. "}.get(section.form, "- ")
        yield f"{mark}{badge}{title}{text(said.text)}{cites}"
        if section.form == "text":
            yield ""
    yield ""


def _table(table: TableView) -> Iterator[str]:
    yield from (f"## {text(table.title)}", "")
    if not table.rows:
        yield from ("None.", "")
        return
    yield "| " + " | ".join(text(head.text) for head in table.heads) + " |"
    yield "|" + "|".join(" ---: " if head.look == "number" else " --- " for head in table.heads) + "|"
    for row in table.rows:
        yield "| " + " | ".join(text(cell.text) for cell in row) + " |"
    if table.more:
        yield from ("", f"And {table.more:,} more.")
    yield ""


def text(value: str) -> str:
    """A text on one line that no reader of Markdown takes for markup, nor for a link."""
    flat = " ".join(value.split())
    escaped = _SPECIAL.sub(r"\\\1", flat)
    escaped = _LEADING.sub(lambda found: f"{found[1]}\\{found[2]}" if found[1] else f"\\{found[3]}", escaped)
    return _LINK.sub(lambda found: f"{found[1]}\u200b{found[2]}", escaped)


def _code(value: str) -> str:
    return value.replace("`", "'")
