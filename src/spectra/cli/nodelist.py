"""`spectra nodes`: the machines of the mesh in a table, once or for as long as somebody looks."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import CsvOption, FieldsOption, FileOption, FormatOption, JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Format, Target, console, emit, finish, json_line, note, plural, text
from spectra.cli.problems import ApiError
from spectra.cli.times import span
from spectra.cli.watching import passing
from spectra.errors import BadRequest, SpectraError

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

    from spectra.cli.client import Client
    from spectra.model.nodes import CertificateRecord, NodeRecord
    from spectra.model.work import WorkerRecord
    from spectra.model.workpages import WorkingNode

EVERY_S = 2.0
ROLES = ("worker", "full", "coordinator")
PRESENCES = ("never", "alive", "suspect", "dead", "left")
STANDINGS = ("invited", "active", "quarantined", "revoked")
STYLES = {"alive": "green", "suspect": "yellow", "dead": "red", "left": "dim", "never": "dim"}
_STANDING = {"active": "", "invited": "dim", "quarantined": "yellow", "revoked": "red"}
_SEEN, _SLOW, _WRONG = 0.05, 2.0, 60.0
"""Seconds of skew that can be shown, those that are worth a look, and those by which signatures begin to fail."""


def nodes(
    context: typer.Context,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until Ctrl-C: a table that is kept true, or a JSON line a change.")
    ] = False,
    role: Annotated[str, typer.Option("--role", help="Only worker, full or coordinator.")] = "",
    presence: Annotated[str, typer.Option("--presence", help="Only alive, suspect, dead, left or never.")] = "",
    standing: Annotated[
        str, typer.Option("--standing", help="Only active, quarantined, invited or revoked; all but revoked if unset.")
    ] = "",
    every: Annotated[
        float, typer.Option("--every", min=0.1, max=3600, help="Seconds between two looks of --watch.")
    ] = EVERY_S,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
    format: FormatOption = "",
) -> None:
    """Show the machines of the mesh by name: what each is and may do, when it was heard, how it is.

    LOAD is the load average of a minute for each core, WORK the scans it is at, of how many it takes (+ results that it
    could not send yet), CERT how long the certificate holds, SKEW by how much its clock is ahead of the coordinator's.
    What else is known of one: spectra node show NAME.
    """
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    asked = _asked(role=role, presence=presence, standing=standing)
    with Machine.of(context).client(notify=note, attempts=1 if watch else 4) as client:
        look = _look(client, asked)
        if watch:
            _watch(look, target, every)
            return
        rows, hidden = look()
        count = emit(rows, columns(datetime.now(UTC), work=any(node.work for node in rows)), target)
    finish(count, target, what="node", nothing="There is no such node." if any(asked.values()) else NOTHING)
    if hidden:
        note(f"{plural(len(hidden), 'revoked node')} not shown: --standing revoked.")


NOTHING = "No machine has joined: spectra node token"
NODES_EXAMPLES = examples(
    "spectra nodes", "spectra nodes --watch", "spectra nodes --presence dead", "spectra nodes --role worker --json"
)
Look = Callable[[], "tuple[list[WorkingNode], list[WorkingNode]]"]


def _asked(**words: str) -> dict[str, str]:
    known = {"role": ROLES, "presence": PRESENCES, "standing": STANDINGS}
    for field, word in words.items():
        if word and word not in known[field]:
            raise BadRequest(f"there is no {field} {word!r}", field=field, hint=f"One of {', '.join(known[field])}.")
    return words


def _look(client: Client, asked: dict[str, str]) -> Look:
    """Asks the server anew each time it is called; the second answer is the revoked nodes that nobody asked for."""
    from spectra.cli.paging import Paged
    from spectra.model.joining import NodePage

    params: dict[str, str | int] = {name: word for name, word in asked.items() if word}

    def look() -> tuple[list[WorkingNode], list[WorkingNode]]:
        pages = Paged(client, "/v0/nodes", NodePage, lambda page: page.nodes, params=params, limit=0)
        workers = _workers(client)
        found = [with_work(node, workers.get(node.name)) for node in pages]
        if asked["standing"]:
            return found, []
        out = [node for node in found if node.standing == "revoked"]
        return [node for node in found if node.standing != "revoked"], out

    return look


def _workers(client: Client) -> dict[str, WorkerRecord]:
    """How machines stand with work; nothing where that is not told: nobody hands any out, or it is not the caller's."""
    from spectra.model.work import WorkStatus

    try:
        return {worker.node: worker for worker in client.get("/v0/work", WorkStatus).workers}
    except ApiError as error:
        if error.status in (403, 404, 409):
            return {}
        raise


def with_work(node: NodeRecord, worker: WorkerRecord | None) -> WorkingNode:
    """A node with what it does."""
    import msgspec

    from spectra.model.workpages import WorkingNode

    return WorkingNode(**msgspec.structs.asdict(node), work=worker)


def columns(now: datetime, *, work: bool = False) -> list[Column[WorkingNode]]:
    """How a node looks in a line; with `work` also what it does."""
    return [
        Column("name", lambda n: n.name, "node", style="cyan", flexible=True, main=True),
        Column("role", lambda n: n.role),
        Column("presence", lambda n: n.presence, table=False),
        Column("heard", lambda n: _heard(n, now), "presence", data=False),
        Column("last_seen", lambda n: n.last_seen, table=False),
        Column("standing", lambda n: text(n.standing, _STANDING.get(n.standing, ""))),
        Column("load", lambda n: f"{n.load.cpu:.0%}" if n.load else "", data=False, right=True),
        Column("load_cpu", lambda n: n.load.cpu if n.load else None, table=False),
        Column("work", _work, table=work, data=False, right=True),
        Column("running", lambda n: n.work.running if n.work else None, table=False),
        Column("slots", lambda n: n.work.slots if n.work else None, table=False),
        Column("spooled", lambda n: n.work.spooled if n.work else None, table=False),
        Column("draining", lambda n: n.work.draining if n.work else None, table=False),
        Column("tools", tools, flexible=True, optional=True),
        Column("arch", lambda n: n.capabilities.arch if n.capabilities else "", optional=True),
        Column("certificate_until", lambda n: n.certificate.not_after if n.certificate else None, table=False),
        Column("certificate", lambda n: left(n.certificate, now), "cert", data=False, right=True),
        Column("skew_s", lambda n: n.skew_s, table=False),
        Column("skew", lambda n: skew(n.skew_s), data=False, right=True, optional=True),
        Column("region", lambda n: n.capabilities.region if n.capabilities else "", table=False),
        Column("reason", lambda n: n.reason, table=False),
    ]


def _heard(node: WorkingNode, now: datetime) -> Text:
    age = f" {brief(now - node.last_seen)}" if node.last_seen else ""
    return text(f"{node.presence}{age}", STYLES.get(node.presence, ""))


def _work(node: WorkingNode) -> Text:
    """`2/4`: how many scans it is at, of how many that it would take."""
    if node.work is None:
        return text("")
    if node.work.draining:
        return text(f"drained {node.work.running}" if node.work.running else "drained", "yellow")
    spool = f" +{node.work.spooled}" if node.work.spooled else ""
    return text(f"{node.work.running}/{node.work.slots}{spool}", "red" if node.work.spool_full else "")


def brief(length: timedelta) -> str:
    """A length of time in its largest unit: `3 s`, `2 d`."""
    return span(length, 1)


def tools(node: NodeRecord) -> str:
    """The scanners of a node."""
    return ", ".join(tool.name for tool in node.capabilities.tools) if node.capabilities else ""


def left(certificate: CertificateRecord | None, now: datetime) -> Text:
    """How long a certificate holds: it should be renewed before a third of its life is left."""
    if certificate is None:
        return text("")
    remaining, life = certificate.not_after - now, certificate.not_after - certificate.not_before
    if remaining <= timedelta(0):
        return text("expired", "red")
    return text(brief(remaining), "yellow" if remaining < life / 4 else "")


def skew(seconds: float | None) -> Text:
    """By how much a clock is ahead of ours."""
    if seconds is None:
        return text("")
    size = abs(seconds)
    style = "red" if size >= _WRONG else "yellow" if size >= _SLOW else "dim"
    words = f"{size:.1f} s" if size < _WRONG else brief(timedelta(seconds=size))
    sign = "" if size < _SEEN else "-" if seconds < 0 else "+"
    return text(f"{sign}{words}", style)


def _watch(look: Look, target: Target, every: float) -> None:
    """Until Ctrl-C, which is how this ends well."""
    pause = threading.Event()
    try:
        if target.format is Format.JSON and target.path is None and not target.fields:
            for node in changes(look, lambda: pause.wait(every)):
                sys.stdout.write(json_line(node) + "\n")
                sys.stdout.flush()
        elif target == Target() and sys.stdout.isatty():
            _draw(look, lambda: pause.wait(every), sys.stdout)
        else:
            raise BadRequest(
                "--watch draws on a terminal", field="watch", hint="Say --watch --json for a line each change."
            )
    except KeyboardInterrupt:
        return


def changes(look: Look, pause: Callable[[], object]) -> Iterator[WorkingNode]:
    """Every node once, and again whenever something was decided about it or it came, went or joined anew; of those
    revoked before anybody looked there is nothing to tell.
    """
    known: dict[str, tuple[object, ...]] = {}
    while True:
        try:
            shown, revoked = look()
        except SpectraError as error:
            note(passing(error))
            shown, revoked = [], []
        rows = [*shown, *(node for node in revoked if node.name in known)]
        for node in rows:
            serial = node.certificate.serial if node.certificate else ""
            drained = node.work.draining if node.work else False
            state = (node.role, node.standing, node.presence, node.reason, node.joined, serial, drained)
            if known.get(node.name) != state:
                known[node.name] = state
                yield node
        pause()


def _draw(look: Look, pause: Callable[[], object], stream: IO[str]) -> None:
    from rich.live import Live

    screen = console(stream)
    rows: list[WorkingNode] = []
    with Live(console=screen, auto_refresh=False, screen=False) as live:
        while True:
            trouble = ""
            try:
                rows = look()[0]
            except SpectraError as error:
                trouble = passing(error)
            live.update(_picture(rows, trouble, screen.width), refresh=True)
            pause()


def _picture(rows: Iterable[WorkingNode], trouble: str, width: int) -> Group:
    from rich.console import Group

    from spectra.cli.layout import lines

    now = datetime.now(UTC)
    rows = list(rows)
    shown = [column for column in columns(now, work=any(node.work for node in rows)) if column.table]
    cells = ([text(column.value(node)) for column in shown] for node in rows)
    table = list(lines([column.slot for column in shown], cells, width))
    alive = sum(node.presence == "alive" for node in rows)
    summary = f"{now:%H:%M:%S} UTC: {plural(len(rows), 'node')}, {alive:,} alive" if rows else NOTHING
    return Group(*table, text(summary, "dim"), *([text(trouble, "red")] if trouble else []))
