"""`spectra tail`: what happens, as it happens, from wherever one left off."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Final

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import console, json_line, note
from spectra.cli.pages import INTERRUPTED
from spectra.cli.safe import safe
from spectra.cli.watching import passing
from spectra.errors import SpectraError

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.cli.client import Client
    from spectra.model.activity import Activity, Progress

    Told = Activity | Progress

WAIT_S: Final = 45.0
"""The server says something every 15 s: who hears nothing for so long has lost it."""
_STYLES: Final = {"alert": "bold red", "account": "yellow", "law": "yellow", "egress": "yellow", "finding": "magenta"}
_LONGEST_PAUSE_S: Final = 30.0

TAIL_EXAMPLES = examples(
    "spectra tail",
    "spectra tail --since 1h --topic security",
    "spectra tail --cursor 1841 --json | jq .title",
    "spectra tail --kind job --progress",
)


def tail(
    context: typer.Context,
    *,
    cursor: Annotated[
        int | None, typer.Option("--cursor", min=0, metavar="N", help="Go on after this entry of the chain.")
    ] = None,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="What came since: 1h, 7d, 2026-03-01.")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=1000, help="Begin with the last so many.")] = 10,
    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", metavar="TOPIC", help="Of this topic alone, such as job; security names several."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="Of this kind alone, such as job.created, or of a noun, job."),
    ] = None,
    progress: Annotated[bool, typer.Option("--progress", help="Also how far running jobs are.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Print what there is, and end.")] = False,
    json: JsonOption = False,
) -> None:
    """Follow what happens: scans that come in, triage, jobs, nodes, alerts, what people with privileges do.

    Goes on by itself when the connection breaks, and misses nothing. Ctrl-C ends it and says where to go on.
    """
    from spectra.model.activity import Activity

    wanted = {"topics": ",".join(topic or ()), "kinds": ",".join(kind or ())}
    tell = _json if json else _table
    with Machine.of(context).client(notify=note) as client:
        at = _earlier(client, wanted, cursor, since, tell) if since or cursor is not None else None
        at = _last(client, wanted, lines, tell) if at is None else at
        if once:
            return
        following = Following(client, wanted, at)
        try:
            for told in following:
                if isinstance(told, Activity) or progress:
                    tell(told)
        except KeyboardInterrupt:
            note(f"Go on from here: spectra tail --cursor {following.cursor}")
            raise typer.Exit(INTERRUPTED) from None


class Following:
    """What happens after `cursor`, without end: nothing is left out or comes twice, whatever breaks.

    `cursor` becomes that of the last one. Raises `SpectraError` for what does not pass by itself.
    """

    def __init__(
        self, client: Client, wanted: dict[str, str], cursor: int, pause: Callable[[float], object] | None = None
    ) -> None:
        self._client = client
        self._wanted = {name: value for name, value in wanted.items() if value}
        self._pause = pause or threading.Event().wait
        self.cursor = cursor

    def __iter__(self) -> Iterator[Told]:
        failed = 0
        while True:
            began = self.cursor
            try:
                params: dict[str, str | int] = {**self._wanted, "cursor": self.cursor}
                yield from self._read(self._client.lines("GET", "/v0/stream", params, wait_s=WAIT_S))
                failed = 0
            except SpectraError as error:
                note(passing(error))
                failed = 0 if self.cursor > began else failed + 1
            self._pause(min(0.5 * 2**failed, _LONGEST_PAUSE_S))

    def _read(self, lines: Iterable[bytes]) -> Iterator[Told]:
        """The events in `lines`, each of which has one line of data."""
        kind, ident = "", self.cursor
        for line in lines:
            name, _, value = line.decode(errors="replace").partition(":")
            value = value.strip()
            match name:
                case "id" if value.isdecimal():
                    self.cursor = max(self.cursor, ident)  # the one before is complete
                    ident = int(value)
                case "event":
                    kind = value
                case "data":
                    told = _decoded(kind, value)
                    if told is not None:
                        yield told
                    self.cursor = max(self.cursor, ident)
                case _:
                    pass


def _decoded(kind: str, data: str) -> Told | None:
    import msgspec

    from spectra.model.activity import Activity, Progress

    try:
        match kind:
            case "activity":
                return msgspec.json.decode(data, type=Activity)
            case "progress":
                return msgspec.json.decode(data, type=Progress)
            case _:
                return None
    except msgspec.DecodeError as error:
        from spectra.cli.client import BadAnswer

        raise BadAnswer(f"the server told something in a way this version does not read: {error}") from error


def _last(client: Client, wanted: dict[str, str], lines: int, tell: Callable[[Told], None]) -> int:
    """Tell the last `lines` there are; the cursor to go on from."""
    from spectra.model.activity import ActivityPage

    params: dict[str, str | int] = {name: value for name, value in wanted.items() if value}
    page = client.get("/v0/activity", ActivityPage, {**params, "limit": max(lines, 1)})
    for one in reversed(page.activity if lines else ()):
        tell(one)
    return page.head


def _earlier(
    client: Client, wanted: dict[str, str], cursor: int | None, since: str, tell: Callable[[Told], None]
) -> int:
    """Tell all there is after `cursor` and since `since`; the cursor to go on from."""
    from spectra.model.activity import ActivityPage

    params: dict[str, str | int] = {name: value for name, value in (wanted | {"since": since}).items() if value}
    at = cursor or 0
    while True:
        page = client.get("/v0/activity", ActivityPage, {**params, "after": at, "limit": 500})
        for one in page.activity:
            tell(one)
        at = page.next_cursor or max(at, page.head)
        if page.next_cursor is None:
            return at


def _json(told: Told) -> None:
    sys.stdout.write(json_line(told) + "\n")
    sys.stdout.flush()


def _table(told: Told) -> None:
    console().print(_line(told), soft_wrap=True)


def _line(told: Told) -> Text:
    from rich.text import Text

    from spectra.model.activity import Progress

    if isinstance(told, Progress):
        share = f"{100 * (told.done + told.review) // max(told.total, 1)} %"
        words = f"{told.job} {told.state}: {told.done} of {told.total} targets done, {told.leased} under way, {share}"
        return Text(f"{'':21}{'progress':<13}{safe(words)}", "dim")
    line = Text.assemble(
        (f"{told.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}  ", "dim"),
        (f"{told.topic:<13}", _STYLES.get(told.topic, "cyan")),
        safe(told.title),
    )
    if told.account and told.account not in told.title:
        line.append(f"  {safe(told.account)}", "dim")
    return line
