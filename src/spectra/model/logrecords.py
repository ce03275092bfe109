"""The log of a node, as it can be looked up."""

from __future__ import annotations

from datetime import datetime

import msgspec


class LogRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the log. `number` counts since the process started; `fields` by their ECS names."""

    number: int
    at: datetime
    level: str
    logger: str
    message: str
    fields: dict[str, str] = {}
    trace: str = ""


class LogPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Records of the log, newest first; `next_cursor` is the number to go on before, left out on the last page."""

    records: tuple[LogRecord, ...]
    next_cursor: int | None = None
