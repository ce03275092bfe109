"""The newest records of this process's log, kept in memory to be looked up: bounded in number and in size."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Final

import msgspec

from spectra.model.logrecords import LogRecord

KEPT: Final = 5000
MAX_MESSAGE: Final = 2000
MAX_TRACE: Final = 8000
MAX_FIELDS: Final = 20
_MAX_VALUE: Final = 300
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class Ring(logging.Handler):
    """Keeps the newest records. Thread-safe, as every handler is."""

    def __init__(self, kept: int = KEPT) -> None:
        super().__init__()
        self._records: deque[LogRecord] = deque(maxlen=kept)
        self._number = 0
        self._guard = threading.Lock()
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        try:
            told = self._told(record)
        except Exception:  # noqa: BLE001 - logging must not break what logs
            self.handleError(record)
            return
        with self._guard:
            self._number += 1
            self._records.append(msgspec.structs.replace(told, number=self._number))

    def newest(self, before: int | None = None) -> Iterator[LogRecord]:
        """Those that are kept, the newest first; `before`: only those with a smaller number."""
        with self._guard:
            kept = tuple(self._records)
        if not kept:
            return iter(())
        later = 0 if before is None else max(0, kept[-1].number - before + 1)
        return islice(reversed(kept), later, None)

    def _told(self, record: logging.LogRecord) -> LogRecord:
        trace = self._formatter.formatException(record.exc_info) if record.exc_info else ""
        fields = {key: str(value)[:_MAX_VALUE] for key, value in vars(record).items() if key not in _OWN}
        return LogRecord(
            number=0,
            at=datetime.fromtimestamp(record.created, UTC),
            level=record.levelname.lower(),
            logger=record.name,
            message=record.getMessage()[:MAX_MESSAGE],
            fields=dict(islice(sorted(fields.items()), MAX_FIELDS)),
            trace=trace[-MAX_TRACE:],
        )


RING: Final = Ring()
"""That of this process."""
