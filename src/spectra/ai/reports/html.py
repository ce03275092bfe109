"""A report as one HTML page: no script, nothing from elsewhere, readable on paper too. All that was said is escaped."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html import escape
from importlib import resources
from typing import Final

from spectra.ai.reports.view import SectionView, TableView, View

_TONES: Final = frozenset({"critical", "high", "medium", "low", "info", "good"})
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


@cache
def _style() -> str:
    return (resources.files("spectra.ai.reports") / "report.css").read_text("utf-8")


def rendered(view: View) -> str:
    """The whole report."""
    return "\n".join(_lines(view)) + "\n"


def _lines(view: View) -> Iterator[str]:
    title = f"{escape(view.title)}: {escape(view.target)}"
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f"<title>{title}</title>\n<style>\n{_style()}</style></head>\n<body>"
    yield from _head(view)
    yield "<main>"
    yield f'<p class="notice {_tone(view.notice_tone)}">{escape(view.notice)}</p>'
    yield from _numbers(view)
    for section in view.sections:
        yield from _section(section)
    for table in view.tables:
        yield from _table(table)
    yield from _foot(view)
    yield "</main>\n</body></html>"


def _head(view: View) -> Iterator[str]:
    yield '<header><div class="band"><span class="brand">Spectra</span><span class="kind">Security report</span></div>'
    yield f'<h1>{escape(view.title)}</h1><p class="target">{escape(view.target)}</p>'
    yield f'<p class="purpose">{escape(view.purpose)}</p><dl class="meta">'
    for pair in view.meta[1:]:
        yield f"<div><dt>{escape(pair.label)}</dt><dd>{escape(pair.value)}</dd></div>"
    yield "</dl></header>"


def _numbers(view: View) -> Iterator[str]:
    if view.figures:
        yield '<div class="figures">'
        for pair in view.figures:
            tone, label = _tone(pair.tone), escape(pair.label)
            yield f'<div class="figure {tone}"><b>{escape(pair.value)}</b><span>{label}</span></div>'
        yield "</div>"
    if view.severities:
        yield '<div class="bar" role="img" aria-label="Weaknesses by severity">'
        for pair in view.severities:
            yield f'<i class="{_tone(pair.tone)}" style="flex-grow:{max(pair.share, 0.01):.3f}"></i>'
        yield '</div><ul class="legend">'
        for pair in view.severities:
            yield f'<li><i class="{_tone(pair.tone)}"></i>{escape(pair.label)} <b>{escape(pair.value)}</b></li>'
        yield "</ul>"


def _section(section: SectionView) -> Iterator[str]:
    by = f' <small class="by">by {escape(section.by)}</small>' if section.by else ""
    yield f"<section><h2>{escape(section.title)}{by}</h2>"
    tag = {"text": "div", "steps": "ol", "list": "ul"}.get(section.form, "div")
    yield f'<{tag} class="said {escape(section.form)}">'
    item = "li" if tag in ("ol", "ul") else "div"
    for said in section.said:
        tone = _tone(said.tone)
        badge = f'<span class="badge {tone}">{escape(said.badge)}</span>' if said.badge else ""
        title = f"<strong>{escape(said.title)}</strong>" if said.title else ""
        cites = "".join(f'<a href="#s{number}">{number}</a>' for number in said.cites)
        head = f'<div class="top">{badge}{title}</div>' if badge or title else ""
        sup = f'<sup class="cites">{cites}</sup>' if cites else ""
        card = f' class="card {tone}"' if section.form in ("risks", "controls") else ""
        yield f"<{item}{card}>{head}<p>{escape(said.text)}{sup}</p></{item}>"
    yield f"</{tag}></section>"


def _table(table: TableView) -> Iterator[str]:
    yield f'<section class="data"><h2>{escape(table.title)}</h2>'
    if not table.rows:
        yield '<p class="none">None.</p></section>'
        return
    yield f'<div class="scroll"><table class="t-{escape(table.id)}"><thead><tr>'
    yield "".join(f'<th class="c-{head.look}">{escape(head.text)}</th>' for head in table.heads)
    yield "</tr></thead><tbody>"
    for row in table.rows:
        cells: list[str] = []
        for head, cell in zip(table.heads, row, strict=True):
            text = escape(cell.text)
            if head.look == "badge" and cell.tone and text:
                text = f'<span class="badge {_tone(cell.tone)}">{text}</span>'
            cells.append(f'<td class="c-{head.look}">{text}</td>')
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"
    if table.more:
        yield f'<p class="none">And {table.more:,} more.</p>'
    yield "</section>"


def _foot(view: View) -> Iterator[str]:
    if view.sources:
        yield '<section class="data"><h2>Sources</h2><ol class="sources">'
        for one in view.sources:
            yield f'<li id="s{one.number}" value="{one.number}">{escape(one.title)} <code>{escape(one.id)}</code></li>'
        yield "</ol></section>"
    if view.notes:
        notes = "".join(f"<li>{escape(note)}</li>" for note in view.notes)
        yield f'<section><h2>Notes</h2><ul class="said">{notes}</ul></section>'
    digest = escape(view.digest)
    yield f"<footer>Report <code>{escape(view.id)}</code>. SHA-256 of the document <code>{digest}</code></footer>"


def _tone(word: str) -> str:
    """A class of the style sheet, whatever the document says."""
    return word if word in _TONES else ""
