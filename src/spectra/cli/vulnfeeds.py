"""`spectra feeds vulns`: the feeds that tell of weaknesses, and how `spectra feeds status` shows them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.ids import short
from spectra.cli.local import Machine
from spectra.cli.output import Column, json_line, note, plural
from spectra.cli.pages import Command, Group
from spectra.cli.problems import ApiError
from spectra.cli.safe import safe
from spectra.cli.times import span
from spectra.errors import BadRequest, SpectraError

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.records import WorkflowRecord
    from spectra.model.vulnfeeds import VulnFeedPage, VulnFeedRecord, VulnSync

vulns = typer.Typer(cls=Group, help="The feeds of weaknesses: NVD, CVE list, CISA KEV, EPSS, OSV.")

_BINARY = "application/octet-stream"
_NAME = "wf.vuln_sync"
Name = Annotated[str, typer.Argument(metavar="NAME", help="What the feed is called here.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Take it though it is older or much smaller, or of another kind, or all again.")
]
WatchOption = Annotated[bool, typer.Option("--watch", help="Follow it until it ends; failing exits with 1.")]


def _path(name: str, verb: str = "") -> str:
    from spectra.cli.client import segment

    return f"/v0/vuln-feeds/{segment(name)}{verb}"


def add(
    context: typer.Context,
    *,
    name: Name,
    source: Annotated[
        str,
        typer.Argument(
            metavar="[FILE|URL]",
            help="The file, or where the server fetches it from; for nvd, kev and epss their own place if left out.",
        ),
    ] = "",
    force: ForceOption = False,
    watch: WatchOption = False,
    json: JsonOption = False,
) -> None:
    """Add a feed of weaknesses, or take a newer file of it: records that are new or changed are stored, others left.

    NVD 2.0 files and API, records of the CVE list, CISA's catalogue (KEV), EPSS scores, OSV and NVD-style overrides are
    recognised, plain or packed. A sync goes on where it was after whatever ends the server.
    """
    from spectra.model.vulnfeeds import KNOWN_SOURCES, VulnFeedSource, VulnSync

    source = source or KNOWN_SOURCES.get(name, "")
    if not source:
        raise BadRequest(f"Where does {name} come from?", field="source", hint="Give a file or a URL.")
    if source.startswith(("https://", "http://")):
        import msgspec

        content, media_type = msgspec.json.encode(VulnFeedSource(source)), "application/json"
    else:
        content, media_type = _read(Path(source)), _BINARY
    params = {"force": "true"} if force else {}
    with Machine.of(context).client(notify=note) as client:
        begun = client.slow("PUT", _path(name), VulnSync, content, params=params, media_type=media_type)
        _tell(client, [begun], watch=watch, json=json)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {error.strerror}", field="source") from error


def update(
    context: typer.Context,
    *,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Which; all that have a URL.")] = None,
    force: ForceOption = False,
    watch: WatchOption = False,
    json: JsonOption = False,
) -> None:
    """Fetch feeds of weaknesses again from their URLs. What fails leaves what is held as it is."""
    from spectra.model.vulnfeeds import VulnFeedPage, VulnSync

    params = {"force": "true"} if force else {}
    with Machine.of(context).client(notify=note) as client:
        known = client.get("/v0/vuln-feeds", VulnFeedPage).feeds
        wanted = names or [feed.name for feed in known if feed.source != "upload"]
        if not wanted:
            note("No feed of weaknesses has a URL. Add one with: spectra feeds vulns add NAME URL")
        begun: list[VulnSync] = []
        failed = 0
        for name in wanted:
            try:
                begun.append(client.slow("POST", _path(name, "/update"), VulnSync, params=params))
            except ApiError as error:
                if len(wanted) == 1:
                    raise
                failed += 1
                note(f"{name}: {error.message}")
        _tell(client, begun, watch=watch, json=json)
    if failed:
        raise SpectraError(f"{plural(failed, 'feed')} could not be updated; what was held still is")


def remove(context: typer.Context, *, name: Name, watch: WatchOption = False, json: JsonOption = False) -> None:
    """Do without a feed of weaknesses: what only it told of is taken back."""
    from spectra.model.vulnfeeds import VulnSync

    with Machine.of(context).client(notify=note) as client:
        begun = client.slow("DELETE", _path(name), VulnSync)
        _tell(client, [begun], watch=watch, json=json)


def _tell(client: Client, begun: list[VulnSync], *, watch: bool, json: bool) -> None:
    """What was begun, or with `watch` how each ended."""
    from spectra.cli.workflows import follow

    failed = 0
    for one in begun:
        if not watch or not one.workflow_id:
            sys.stdout.write(f"{json_line(one) if json else _words(one)}\n")
            if one.workflow_id and not json:
                note(f"Follow it with: spectra workflows show {safe(short(one.workflow_id))} --watch")
            continue
        record = follow(client, one.workflow_id, _NAME)
        if record is not None:
            sys.stdout.write(f"{json_line(record) if json else _end(one.name, record)}\n")
            failed += record.status == "failed"
    sys.stdout.flush()
    if failed:
        raise typer.Exit(1)


def _words(begun: VulnSync) -> str:
    said = {"started": "taking it in", "running": "is being taken in already", "unchanged": "nothing new"}
    workflow = f", workflow {begun.workflow_id}" if begun.workflow_id else ""
    return safe(f"{begun.name}: {said[begun.outcome]}{workflow}")


def _end(name: str, record: WorkflowRecord) -> str:
    said = f"{record.status}: {record.error}" if record.error else f"{record.status}, {plural(record.done, 'record')}"
    return safe(f"{name}: {said}")


# --- status ---


def columns(now: datetime) -> list[Column[VulnFeedRecord]]:
    """The table of feeds of weaknesses."""
    return [
        Column("name", lambda f: f.name, "feed", style="cyan", flexible=True, main=True),
        Column("kind", lambda f: f.kind),
        Column("age", lambda f: _age(f, now), right=True),
        Column("cves", lambda f: f"{f.cves:,}", "CVEs", right=True),
        Column("configured", lambda f: _share(f.configured, f.cves), "affected told", right=True, optional=True),
        Column("scored", lambda f: _share(f.scored, f.cves), "scored", right=True, optional=True),
        Column("version", lambda f: f.version, flexible=True, optional=True),
        Column("checked", lambda f: f"{span(now - f.checked, 1)} ago", style="dim", optional=True),
        Column("error", lambda f: "failed" if f.error else "running" if f.running else "", "last try", style="red"),
        Column("source", lambda f: f.source, flexible=True, optional=True, style="dim"),
    ]


def remarks(page: VulnFeedPage) -> Iterator[str]:
    """What went wrong, what could not be read, and what the corpus has."""
    for feed in page.feeds:
        if feed.error:
            yield f"{feed.name}: {feed.error}"
        if feed.unread.count:
            yield f"{feed.name}: {plural(feed.unread.count, 'record')} could not be read:"
            yield from (f"  line {p.line}: {p.message}" if p.line else f"  {p.message}" for p in feed.unread.examples)
    if (totals := page.totals).cves:
        yield (
            f"{plural(totals.cves, 'CVE')}: {_share(totals.configured, totals.cves)} tell what is affected"
            f" ({totals.products:,} products), {_share(totals.scored, totals.cves)} have a CVSS score,"
            f" {_share(totals.epss, totals.cves)} an EPSS score; {totals.kev:,} are known to be exploited,"
            f" {totals.rejected:,} are rejected."
        )


def _age(feed: VulnFeedRecord, now: datetime) -> str:
    """Since it was built or asked; where it does not say when that was, since it was taken."""
    told = feed.since or feed.built
    if told is None and feed.updated is None:
        return "-"
    return span(now - told, 1) if told else f"≥ {span(now - (feed.updated or now), 1)}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if part and whole else ""


vulns.command(
    "add",
    cls=Command,
    epilog=examples(
        "spectra feeds vulns add nvd",
        "spectra feeds vulns add nvd-2024 nvdcve-2.0-2024.json.gz --watch",
        "spectra feeds vulns add epss",
    ),
)(add)
vulns.command("update", cls=Command, epilog=examples("spectra feeds vulns update --watch"))(update)
vulns.command("remove", cls=Command, epilog=examples("spectra feeds vulns remove nvd-2024"))(remove)
