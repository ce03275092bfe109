"""What a host shares with others, as lines: each tie, and below it who shares it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from spectra.cli.layout import Slot, lines
from spectra.cli.safe import safe

if TYPE_CHECKING:
    from spectra.model.around import Around, Tie

_COLUMNS = (
    Slot("shared", style="magenta"),
    Slot("what", flexible=True, main=True),
    Slot("by", right=True),
    Slot("address", style="cyan"),
    Slot("name", flexible=True, optional=True),
    Slot("open ports", flexible=True, optional=True, style="dim"),
)


def around_page(record: Around, width: int) -> Iterator[Text]:
    """The lines, none wider than `width` cells."""
    yield from lines(_COLUMNS, [row for tie in record.ties for row in _rows(tie)], width)


def _rows(tie: Tie) -> Iterator[Sequence[Text]]:
    count = f"{tie.total:,}{'' if tie.exact else '+'}"
    for place, host in enumerate(tie.hosts):
        head = ("", "", "") if place else (tie.relation, safe(tie.label), count)
        ports = " ".join(str(port) for port in host.ports)
        yield [Text(cell) for cell in (*head, host.ip, safe(host.hostname), ports)]
