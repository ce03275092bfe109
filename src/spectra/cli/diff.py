"""`spectra diff`: what is new, gone or changed between two times or two scans."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from spectra.cli.help import (
    AllOption,
    CsvOption,
    FieldsOption,
    FileOption,
    FormatOption,
    JsonOption,
    LimitOption,
    examples,
)
from spectra.cli.hostpage import version_of
from spectra.cli.local import Machine
from spectra.cli.output import Column, Format, Target, emit, finish, note, plural
from spectra.cli.safe import safe
from spectra.cli.search import pointing, unguarded
from spectra.cli.times import parse_when, stamp
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.cli.client import Client
    from spectra.cli.paging import Paged
    from spectra.model.diffs import Change, DiffEntry, DiffPage, HostChange
    from spectra.model.findingrecords import FindingBrief, FindingChange
    from spectra.model.records import VersionRecord

    Row = DiffEntry | HostChange | FindingChange

DIFFERENT: Final = 1
"""The exit code of `--exit-code` where something differs, as git has it."""
_SIGNS: Final = {
    "new": ("+", "green"),
    "gone": ("-", "red"),
    "changed": ("~", "yellow"),
    "host_new": ("+", "green"),
    "host_back": ("+", "cyan"),
    "host_gone": ("-", "red"),
    "finding_new": ("!", "red"),
    "finding_closed": ("✓", "green"),
}
_OF_HOSTS: Final = {
    "host_new": "seen for the first time",
    "host_back": "answers again",
    "host_gone": "does not answer any more",
}
_SHORT: Final = 12
_BRIEFS: Final = 3
"""Findings that are named in one line."""
MAX_FINDINGS: Final = 30
"""Findings of endpoints that did not change, in a table."""
_NOISE: Final = frozenset({"cpe", "certificate.issuer"})
"""What follows from other changes, left out where those are shown to people."""


def diff(
    context: typer.Context,
    *,
    since: Annotated[str, typer.Argument(metavar="FROM", help="A time (7d, yesterday, 2026-03-01) or a scan's id.")],
    to: Annotated[str, typer.Argument(metavar="TO", help="A later time, or the other scan's id.")] = "now",
    query: Annotated[list[str] | None, typer.Argument(metavar="QUERY...", help="Only endpoints like this.")] = None,
    kind: Annotated[
        Literal["", "new", "gone", "changed"], typer.Option("--kind", help="new, gone or changed alone.")
    ] = "",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 where something differs.")] = False,
    limit: LimitOption = 200,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Compare the graph at two times, or what two scans saw: `+` new, `-` gone, `~` changed.

    Endpoints that nobody looked at again are not gone. A query holds for an endpoint before or after. Of two scans only
    what both looked at is compared. Findings that came or went follow on what changed; `!` and `✓` are those of
    endpoints that did not, because something was told of the CVE.
    """
    now = datetime.now(UTC)
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    start, end, words = _compared(since, to, unguarded(query or []), now)
    params: dict[str, str | int] = {"from": start, "to": end, "q": words, "kind": kind}
    params = {name: value for name, value in params.items() if value}
    with Machine.of(context).client(notify=note) as client, pointing(words):
        count = _print(client, params, target, 0 if everything else limit)
    if count and exit_code:
        raise typer.Exit(DIFFERENT)


DIFF_EXAMPLES = examples(
    "spectra diff 7d",
    "spectra diff 2026-03-01 2026-03-08 net:10.0.1.0/24 --kind new",
    "spectra diff weekly-17 weekly-18 --json",
    "spectra diff 1d now service:ssh --exit-code",
)


def _compared(since: str, to: str, words: list[str], now: datetime) -> tuple[str, str, str]:
    """Both ends as the server reads them, and the query. After a time, a second word that is none is of the query."""
    start = _moment(since, now)
    end = _moment(to, now)
    if start and not end and to and not to.startswith("scan:") and ":" in to:
        return start, "now", " ".join([*unguarded([to]), *words])
    return start or since, end or to, " ".join(words)


def _moment(text: str, now: datetime) -> str:
    """RFC 3339 for every spelling of a time the command line knows; empty for anything else."""
    if text.strip().lower() == "now":
        return "now"
    try:
        return parse_when(text, now).isoformat().replace("+00:00", "Z")
    except BadRequest:
        return ""


def _print(client: Client, params: dict[str, str | int], target: Target, limit: int) -> int:
    from spectra.cli.paging import Paged, watched
    from spectra.model.diffs import DiffPage

    pages = Paged(client, "/v0/diff", DiffPage, lambda page: page.entries, params=params, limit=limit)
    table = target.format is Format.TABLE
    rows = _rows(pages, with_hosts="kind" not in params, findings=MAX_FINDINGS if table else None)
    shown = emit(watched(rows, target, "comparing"), columns(), target)
    finish(shown, target, more=pages.more, what="difference", nothing="No difference.")
    if pages.first is not None:
        if shown:
            note(_summary(pages.first))
        if table and pages.first.findings_total > MAX_FINDINGS:
            note(_findings(pages.first))
        if pages.first.summary.one_sided:
            note(_one_sided(pages.first))
    return shown


def _rows(pages: Paged[DiffPage, DiffEntry], *, with_hosts: bool, findings: int | None) -> Iterator[Row]:
    """The hosts, of which the first page tells, then every endpoint, and then the first `findings` of others."""
    entries = iter(pages)
    first = next(entries, None)
    if with_hosts and pages.first is not None:
        yield from pages.first.hosts
    if first is not None:
        yield first
        yield from entries
    if pages.first is not None:
        yield from pages.first.findings[:findings]


def _summary(page: DiffPage) -> str:
    """`3 new, 2 gone, 5 changed; 1 host new`."""
    s = page.summary
    counts = ((s.hosts_new, "new"), (s.hosts_back, "back"), (s.hosts_gone, "silent"))
    hosts = ", ".join(f"{plural(n, 'host')} {words}" for n, words in counts if n)
    least = "" if s.exact else "at least "
    endpoints = f"{least}{s.new:,} new, {s.gone:,} gone, {s.changed:,} changed"
    return f"{endpoints}; {hosts}" if hosts else endpoints


def _findings(page: DiffPage) -> str:
    least = "" if page.findings_exact else "at least "
    return f"{least}{plural(page.findings_total, 'finding')} by what was told of CVEs; --json prints the first 1,000"


def _one_sided(page: DiffPage) -> str:
    count = plural(page.summary.one_sided, "endpoint")
    ask = f"spectra search scan:{page.to} -scan:{page.from_}"
    return f"{count} seen in one scan alone, where the other may not have looked: {ask}"


# One line of the answer ----------------------------------------------------------------------------------------------


def columns() -> list[Column[Row]]:
    """Every field of a difference, and the few that a table joins together."""
    return [
        Column("sign", _sign, " ", data=False),
        Column("kind", lambda r: r.kind, table=False),
        Column("when", lambda r: stamp(r.at), "when (utc)", data=False, optional=True, style="dim"),
        Column("ip", lambda r: r.ip, "address", style="cyan"),
        Column("endpoint", _endpoint, "port", data=False, right=True),
        Column("port", lambda r: getattr(r, "port", None), table=False),
        Column("protocol", lambda r: getattr(r, "protocol", ""), table=False),
        Column("at", lambda r: r.at, table=False),
        Column("what", what, "what", data=False, flexible=True, main=True),
        Column("changes", lambda r: "; ".join(_change(c) for c in getattr(r, "changes", ())), table=False),
        Column("findings_new", lambda r: _cves(r, "findings_new", "finding_new"), table=False),
        Column("findings_closed", lambda r: _cves(r, "findings_closed", "finding_closed"), table=False),
        Column("before", lambda r: _is(getattr(r, "before", None)), table=False),
        Column("after", lambda r: _is(getattr(r, "after", None)), table=False),
    ]


def _sign(row: Row) -> Text:
    from rich.text import Text

    sign, style = _SIGNS[row.kind]
    return Text(sign, style=f"bold {style}")


def _endpoint(row: Row) -> str:
    port, protocol = getattr(row, "port", None), getattr(row, "protocol", "")
    return f"{port}/{protocol}" if protocol else "host"


def what(row: Row) -> Text:
    """What became of it, for people."""
    from rich.text import Text

    style = _SIGNS[row.kind][1]
    match row.kind:
        case "host_new" | "host_back" | "host_gone":
            words = _OF_HOSTS[row.kind]
        case "finding_new" | "finding_closed":
            word = "became known" if row.kind == "finding_new" else "was taken back"
            words = f"{row.cve}{f' ({row.severity})' if row.severity else ''} {word}"
        case "new":
            words = _is(row.after)
        case "gone":
            words = " ".join(part for part in (_is(row.before), f"is {_is(row.after)}") if part)
        case "changed":
            shown = [c for c in row.changes if c.field not in _NOISE] or list(row.changes)
            words = "; ".join(_change(c) for c in shown)
    return Text(safe(words, 400), style=style).append_text(_briefs(row))


def _briefs(entry: Row) -> Text:
    """`; 2 new findings, 3 closed: CVE-2024-6387 critical, CVE-2024-1`: the new ones by name."""
    from rich.text import Text

    from spectra.model.diffs import DiffEntry

    shown = Text()
    if not isinstance(entry, DiffEntry):
        return shown
    came, went = entry.findings_new_total, entry.findings_closed_total
    if came:
        shown.append(f"; {plural(came, 'new finding')}", style="bold red")
    if went:
        shown.append(f", {went:,} closed" if came else f"; {plural(went, 'finding')} closed", style="green")
    if came:
        names = ", ".join(_brief(brief) for brief in entry.findings_new[:_BRIEFS])
        shown.append(f": {safe(names, 200)}{' ...' if came > _BRIEFS else ''}", style="red")
    return shown


def _brief(brief: FindingBrief) -> str:
    return f"{brief.cve} {brief.severity}".strip()


def _cves(row: Row, field: str, kind: str) -> str:
    """The CVEs of a field of an endpoint, or the one of a finding of that kind."""
    if row.kind == kind:
        return getattr(row, "cve", "")
    return ", ".join(brief.cve for brief in getattr(row, field, ()))


def _change(change: Change) -> str:
    """`version 8.4 → 9.6`; a fingerprint by its beginning."""
    before, after = change.before, change.after
    if change.field == "certificate":
        before, after = before[:_SHORT], after[:_SHORT]
    if change.field == "title":
        before, after = f"“{before}”", f"“{after}”"
    return f"{change.field} {before or '?'} → {after or '?'}"


def _is(version: VersionRecord | None) -> str:
    """An endpoint's version in one line: `http nginx 1.18.0 “Welcome”`."""
    if version is None or version.state != "open":
        return version.state if version else ""
    service = version.service
    name = f"{service.name}{'/tls' if service.tunnel else ''}" if service else ""
    return " ".join(part for part in (name, version_of(service), version.title and f"“{version.title}”") if part)
