"""The one place where answers become tables, JSON lines or CSV, on the terminal or in a file.

How a command prints a list: describe a row once as `Column`s, take the options `JsonOption`, `CsvOption`,
`FieldsOption` and `FileOption` of `cli.help` (and `FormatOption` for `-f json`), and end with

    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    rows = Paged(client, "/v0/things", ThingPage, lambda page: page.things, params=params, limit=limit)  # cli.paging
    finish(emit(watched(rows, target), columns, target), target, more=rows.more)

Tables fit the terminal, JSON lines are whole records, CSV is RFC 4180 with cells that no spreadsheet runs; fields are
named alike in all three.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Generic, TypeVar

from spectra.cli.layout import Slot, lines
from spectra.cli.safe import safe, safe_json
from spectra.errors import BadRequest, SetupError
from spectra.model import csvlines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

R = TypeVar("R")
PIPED_WIDTH = 160


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True)
class Column(Generic[R]):
    """One value of a row: its name in `--fields`, CSV and JSON, how to get it, and how it looks in a table.

    `table` and `data` say whether it is in tables and in CSV by default; `--fields` can name any.
    """

    name: str
    value: Callable[[R], object]
    header: str = ""
    table: bool = True
    data: bool = True
    flexible: bool = False
    optional: bool = False
    right: bool = False
    style: str = ""
    main: bool = False

    @property
    def slot(self) -> Slot:
        """The column as the table sees it."""
        return Slot(self.header or self.name, self.flexible, self.optional, self.right, self.style, self.main)


@dataclass(frozen=True)
class Target:
    """What the user asked for: format, fields (empty: the default ones) and file (None: standard output)."""

    format: Format = Format.TABLE
    fields: tuple[str, ...] = ()
    path: Path | None = None

    @classmethod
    def of(
        cls, *, json: bool = False, csv: bool = False, fields: str = "", path: Path | None = None, format: str = ""
    ) -> Target:
        """From the options of a command; `format` is the word after `-f`. A file's ending decides where none does."""
        asked = {Format.JSON} if json else set[Format]()
        asked |= {Format.CSV} if csv else set()
        asked |= {_format(format)} if format else set()
        if len(asked) > 1:
            words = " and ".join(sorted(f"--{f.value}" for f in asked))
            raise BadRequest(f"{words} exclude each other", field="format")
        names = tuple(dict.fromkeys(name.strip() for name in fields.split(",") if name.strip()))
        return cls(asked.pop() if asked else _by_suffix(path), names, path)


_SYNONYMS = {"jsonl": "json", "ndjson": "json", "text": "table"}


def _format(word: str) -> Format:
    """The format that somebody means by `word`."""
    lower = word.strip().lower()
    try:
        return Format(_SYNONYMS.get(lower, lower))
    except ValueError:
        known = ", ".join(f.value for f in Format)
        raise BadRequest(f"there is no format {word!r}", field="format", hint=f"Formats: {known}.") from None


def _by_suffix(path: Path | None) -> Format:
    endings = {".csv": Format.CSV, ".json": Format.JSON, ".jsonl": Format.JSON, ".ndjson": Format.JSON}
    return endings.get(path.suffix.lower(), Format.TABLE) if path else Format.TABLE


def terminal_width() -> int:
    """`COLUMNS`, else the terminal's width, else 160: what is piped into `grep` should not be cut at 80."""
    return shutil.get_terminal_size((PIPED_WIDTH, 24)).columns


def console(file: IO[str] | None = None) -> Console:
    """A console that prints what it is given: no markup, no emoji codes, no highlighting. `NO_COLOR` is honoured."""
    from rich.console import Console

    return Console(
        file=file or sys.stdout, markup=False, emoji=False, highlight=False, soft_wrap=True, width=terminal_width()
    )


def plural(count: int, one: str, many: str = "") -> str:
    """`1 host`, `1,024 hosts`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def note(message: str) -> None:
    """Something for the person, not for the pipe: one safe line on standard error, after the data printed so far."""
    with contextlib.suppress(BrokenPipeError):  # whoever read the data has gone; that is told where it is written
        sys.stdout.flush()
    sys.stderr.write(f"{safe(message)}\n")
    sys.stderr.flush()


def text(value: object, style: str = "") -> Text:
    """`value` as a table cell: safe, on one line, dim where it is empty."""
    from rich.text import Text

    if isinstance(value, Text):
        return value
    return Text(safe(csvlines.plain(value), 400), style=style)


def json_line(value: object) -> str:
    """`value` (a struct, dict or list) as one JSON line without its line end, safe on a terminal, nothing lost."""
    import msgspec

    return safe_json(msgspec.json.encode(value).decode())


def emit(rows: Iterable[R], columns: Sequence[Column[R]], target: Target) -> int:
    """Write `rows` as `target` says, as they come; returns how many there were."""
    chosen = choose(columns, target)
    count = 0

    def counted() -> Iterator[R]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    with opened(target.path) as stream:
        if target.format is Format.JSON:
            _json(counted(), chosen if target.fields else (), stream)
        elif target.format is Format.CSV:
            _csv(counted(), chosen, stream)
        else:
            _table(counted(), chosen, stream)
    return count


def finish(count: int, target: Target, *, more: bool = False, what: str = "row", nothing: str = "Nothing.") -> None:
    """Say on standard error what the output itself does not: that there was nothing, that there is more, and where it
    was written. `what` is one of them in the singular, for the file's message.
    """
    if count == 0:
        note(nothing)
    elif more:
        note(f"{count:,} shown, there are more: --limit 0 prints all.")
    if target.path:
        note(f"{plural(count, what)} written to {target.path}")


def choose(columns: Sequence[Column[R]], target: Target) -> list[Column[R]]:
    """The columns to write; raises `BadRequest` naming a field there is not, the nearest one and all there are."""
    if not target.fields:
        table = target.format is Format.TABLE
        return [c for c in columns if (c.table if table else c.data)]
    known = {c.name: c for c in columns}
    for name in target.fields:
        if name not in known:
            near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
            meant = f"Did you mean {near[0]}? " if near else ""
            hint = f"{meant}Fields: {', '.join(known)}."
            raise BadRequest(f"there is no field {name[:80]!r}", field="fields", hint=hint)
    return [known[name] for name in target.fields]


def _json(rows: Iterable[R], chosen: Sequence[Column[R]], stream: IO[str]) -> None:
    for row in rows:
        value: Any = {c.name: _builtin(c.value(row)) for c in chosen} if chosen else row
        stream.write(json_line(value) + "\n")


def _builtin(value: object) -> object:
    from rich.text import Text

    return value.plain if isinstance(value, Text) else value


def _csv(rows: Iterable[R], chosen: Sequence[Column[R]], stream: IO[str]) -> None:
    cells = ([_builtin(c.value(row)) for c in chosen] for row in rows)
    for line in csvlines.lines([c.name for c in chosen], cells):
        stream.write(line)


def _table(rows: Iterable[R], chosen: Sequence[Column[R]], stream: IO[str]) -> None:
    cells = ([text(c.value(row)) for c in chosen] for row in rows)
    screen = console(stream)
    for line in lines([c.slot for c in chosen], cells, screen.width):
        screen.print(line)


@contextmanager
def opened(path: Path | None) -> Generator[IO[str]]:
    """Standard output, or a file that appears whole when all was written and not at all otherwise."""
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    with replaced(path) as raw, io.TextIOWrapper(raw, encoding="utf-8", newline="") as stream:
        yield stream


@contextmanager
def replaced(path: Path) -> Generator[IO[bytes]]:
    """A binary file beside `path` that takes its place when the block ends well, and goes away otherwise."""
    spare = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        stream = spare.open("xb")
    except OSError as error:
        raise SetupError(f"cannot write {path}: {error.strerror}") from error
    try:
        with stream:
            yield stream
        os.replace(spare, path)  # noqa: PTH105 - a rename that may replace
    except OSError as error:
        raise SetupError(f"cannot write {path}: {error.strerror}") from error
    finally:
        spare.unlink(missing_ok=True)
