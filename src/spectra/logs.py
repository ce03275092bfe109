"""The log: JSON lines with ECS field names, or plain text on a terminal. Always on standard error."""

from __future__ import annotations

import logging
import sys
from typing import Any, Protocol

import ecs_logging

from spectra import __version__


class Wanted(Protocol):
    """What is read of the settings' section `log`; an agent, which has no settings, brings these two alone."""

    @property
    def level(self) -> str:
        """Least level that is written."""
        ...

    @property
    def format(self) -> str:
        """`auto`, `json` or `text`."""
        ...


def configure(settings: Wanted, *more: logging.Handler) -> None:
    """Set up the log of this process; calling it again replaces what was set up. `more` get it as well."""
    handler = logging.StreamHandler(sys.stderr)
    json_lines = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    handler.setFormatter(
        ecs_logging.StdlibFormatter(extra={"service.name": "spectra", "service.version": __version__})
        if json_lines
        else _Text("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler, *more]
    root.setLevel(logging.WARNING)
    logging.getLogger("spectra").setLevel(settings.level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "dbos"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True


class _Text(logging.Formatter):
    """Control characters of logged text must not reach the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name logging gives it
        """The line, with control characters escaped."""
        return _printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The traceback: an error's message quotes what a stranger sent."""
        return _lines(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """The stack, line by line."""
        return _lines(super().formatStack(stack_info))


def _lines(text: str) -> str:
    return "\n".join(_printable(line) for line in text.split("\n"))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
