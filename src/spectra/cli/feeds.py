"""`spectra feeds`: the files that say where hosts are, and the state of all feeds."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli import vulnfeeds
from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Format, Target, emit, json_line, note, plural
from spectra.cli.pages import Command, Group
from spectra.cli.problems import ApiError
from spectra.cli.safe import safe
from spectra.cli.times import span
from spectra.errors import BadRequest, SpectraError

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.feeds import FeedChange, FeedPage, FeedRecord

feeds = typer.Typer(
    cls=Group, help="The feeds that say where hosts are and which weaknesses there are, and what rests on them."
)

_BINARY = "application/octet-stream"
_NAMES = {"cloud": "networks", "geo": "networks", "asn": "networks", "as-names": "names"}
_DONE = {
    "added": "added",
    "updated": "updated",
    "unchanged": "nothing new",
    "rolled_back": "rolled back",
    "removed": "removed",
}

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the feed is called here.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Take it though it shrank by half, is of another kind, or was rolled back.")
]


def _path(name: str, verb: str = "") -> str:
    from spectra.cli.client import segment

    return f"/v0/feeds/{segment(name)}{verb}"


def add(
    context: typer.Context,
    *,
    name: Name,
    source: Annotated[str, typer.Argument(metavar="FILE|URL", help="The file, or where the server fetches it from.")],
    provider: Annotated[
        str, typer.Option("--provider", help="Whose networks a plain list or geofeed holds, such as cloudflare.")
    ] = "",
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Add a feed, or replace it: what is read is recognised, checked whole, and then used for every new host.

    MaxMind databases (GeoLite2, DB-IP), RouteViews prefixes, AS names, the range files of AWS, Google Cloud, Azure,
    Oracle Cloud and others, geofeeds and lists of networks are read, plain or packed with gzip or zstd.
    """
    from spectra.model.feeds import FeedChange, FeedSource

    params: dict[str, str | int] = {"provider": provider} if provider else {}
    params |= {"force": "true"} if force else {}
    if source.startswith(("https://", "http://")):
        import msgspec

        content, media_type = msgspec.json.encode(FeedSource(source, provider)), "application/json"
    else:
        content, media_type = _read(Path(source)), _BINARY
        params["filename"] = Path(source).name[:200]
    with Machine.of(context).client(notify=note) as client:
        change = client.slow("PUT", _path(name), FeedChange, content, params=params, media_type=media_type)
        _tell(change, json=json)
        _what_next(client)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {error.strerror}", field="source") from error


def _tell(change: FeedChange, *, json: bool) -> None:
    sys.stdout.write(f"{json_line(change)}\n" if json else f"{_words(change)}\n")
    sys.stdout.flush()


def _words(change: FeedChange) -> str:
    said = [f"{change.name}: {_DONE[change.outcome]}"]
    feed = change.feed
    if feed is not None:
        said += [feed.format, plural(feed.networks, _NAMES.get(feed.kind, "networks")[:-1])]
        if change.outcome in ("updated", "rolled_back"):
            said[-1] += f" ({change.networks_before:,} before)"
        if feed.version:
            said.append(f"version {feed.version}")
    return safe(", ".join(said))


def _what_next(client: Client) -> None:
    """Say how many stored hosts a change concerns, and the one command that has them follow."""
    from spectra.model.feeds import FeedPage

    _behind(client.get("/v0/feeds", FeedPage))


def _behind(page: FeedPage) -> None:
    if page.hosts_behind:
        note(
            f"{page.hosts_behind:,} of {plural(page.hosts, 'stored host')} rest on older feeds:"
            " spectra feeds apply --watch looks them up again."
        )


def update(
    context: typer.Context,
    *,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Which; all that have a URL.")] = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Fetch feeds again from their URLs. One that is not sound leaves the last good one in use, and exits with 1."""
    from spectra.model.feeds import FeedChange, FeedPage

    params: Mapping[str, str | int] = {"force": "true"} if force else {}
    failed = 0
    with Machine.of(context).client(notify=note) as client:
        known = client.get("/v0/feeds", FeedPage).feeds
        wanted = names or [feed.name for feed in known if feed.source != "upload"]
        if not wanted:
            note("No feed has a URL. Add one with: spectra feeds add NAME URL")
        for name in wanted:
            try:
                _tell(client.slow("POST", _path(name, "/update"), FeedChange, params=params), json=json)
            except ApiError as error:
                if len(wanted) == 1:
                    raise
                failed += 1
                note(f"{name}: {error.message}")
        if wanted:
            _what_next(client)
    if failed:
        raise SpectraError(f"{plural(failed, 'feed')} could not be updated; what was in use still is")


def status(context: typer.Context, *, json: JsonOption = False) -> None:
    """Show every feed: its age and version, what rests on it or what it covers, and what went wrong.

    First those that say where hosts are, then those that tell of weaknesses.
    """
    from spectra.model.feeds import FeedPage
    from spectra.model.vulnfeeds import VulnFeedPage

    with Machine.of(context).client(notify=note) as client:
        page = client.get("/v0/feeds", FeedPage)
        weaknesses = client.get("/v0/vuln-feeds", VulnFeedPage)
    now, target = datetime.now(UTC), Target.of(json=json)
    if not emit(page.feeds, _columns(now), target):
        note("There is no feed: hosts have no places. Add one with: spectra feeds add NAME FILE|URL")
    for line in _errors(page) if not json else ():
        note(line)
    _behind(page)
    if not weaknesses.feeds:
        note("There is no feed of weaknesses. Add one with: spectra feeds vulns add NAME FILE|URL")
        return
    if page.feeds and target.format is Format.TABLE:
        sys.stdout.write("\n")
    emit(weaknesses.feeds, vulnfeeds.columns(now), target)
    for line in vulnfeeds.remarks(weaknesses) if not json else ():
        note(line)


def _columns(now: datetime) -> list[Column[FeedRecord]]:
    return [
        Column("name", lambda f: f.name, "feed", style="cyan", flexible=True, main=True),
        Column("kind", lambda f: f.kind),
        Column("age", lambda f: _age(f, now), right=True),
        Column("networks", lambda f: f"{f.networks:,}", right=True),
        Column("behind", lambda f: f"{f.hosts_behind:,}" if f.hosts_behind else "", "hosts behind", right=True),
        Column("version", lambda f: f.version, flexible=True, optional=True),
        Column("checked", lambda f: f"{span(now - f.checked, 1)} ago", style="dim", optional=True),
        Column("error", lambda f: "failed" if f.error else "", "last try", style="red", optional=True),
        Column("source", lambda f: f.source, flexible=True, optional=True, style="dim"),
    ]


def _age(feed: FeedRecord, now: datetime) -> str:
    """Since it was built; where it does not say when that was, since it was taken."""
    return span(now - feed.built, 1) if feed.built else f"≥ {span(now - feed.updated, 1)}"


def _errors(page: FeedPage) -> Iterator[str]:
    yield from (f"{feed.name}: {feed.error}" for feed in page.feeds if feed.error)


def remove(context: typer.Context, *, name: Name, json: JsonOption = False) -> None:
    """Do without a feed from now on."""
    _change(context, "DELETE", _path(name), json=json)


def rollback(context: typer.Context, *, name: Name, json: JsonOption = False) -> None:
    """Put the version before in use again; updates leave alone what was rolled back. Twice undoes it."""
    _change(context, "POST", _path(name, "/rollback"), json=json)


def _change(context: typer.Context, method: str, path: str, *, json: bool) -> None:
    from spectra.model.feeds import FeedChange

    with Machine.of(context).client(notify=note) as client:
        _tell(client.slow(method, path, FeedChange), json=json)
        _what_next(client)


def apply(
    context: typer.Context,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends; failing exits with 1.")] = False,
    json: JsonOption = False,
) -> None:
    """Look all stored hosts up again in the feeds of now, and name all services: durable, one at a time.

    It goes on where it was after whatever ends the server. New hosts are looked up as they come in any case.
    """
    from spectra.cli.workflows import tell
    from spectra.model.feeds import Relocating

    with Machine.of(context).client(notify=note) as client:
        begun = client.slow("POST", "/v0/enrich", Relocating)
        said = f"{plural(begun.hosts_behind, 'host')} to look up"
        tell(client, begun, said, lambda r: f"{r.done:,} hosts", name="wf.relocate", watch=watch, json=json)


feeds.command(
    "add",
    cls=Command,
    epilog=examples(
        "spectra feeds add city GeoLite2-City.mmdb",
        "spectra feeds add aws https://ip-ranges.amazonaws.com/ip-ranges.json",
        "spectra feeds add cloudflare ips-v4.txt --provider cloudflare",
    ),
)(add)
feeds.command("update", cls=Command, epilog=examples("spectra feeds update", "spectra feeds update aws --force"))(
    update
)
feeds.command("status", cls=Command, epilog=examples("spectra feeds status --json"))(status)
feeds.command("apply", cls=Command, epilog=examples("spectra feeds apply --watch"))(apply)
feeds.command("rollback", cls=Command, epilog=examples("spectra feeds rollback aws"))(rollback)
feeds.command("remove", cls=Command, epilog=examples("spectra feeds remove aws"))(remove)
feeds.add_typer(vulnfeeds.vulns, name="vulns")
