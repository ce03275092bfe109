"""A report as PDF, set by typst from data: what was said stands in JSON and is never read as markup."""

from __future__ import annotations

import threading
from importlib import resources
from typing import Any, Final, Literal, cast

import msgspec

from spectra.ai.reports.view import View
from spectra.errors import SetupError, Unavailable

AT_ONCE: Final = 2
"""Reports that are set at once: each takes a processor for a second, and some tens of megabytes."""
MAX_ROWS: Final = 100
"""Rows of a table on paper."""
_WAIT_S: Final = 20.0
_setting = threading.BoundedSemaphore(AT_ONCE)


def rendered(view: View) -> bytes:
    """The whole report. Raises `SetupError` (`no_pdf`) and `Unavailable` (`busy`)."""
    return _set(_capped(view), "pdf", 72.0)[0]


def pages(view: View, ppi: float = 72.0) -> list[bytes]:
    """Its pages as PNG. Raises as `rendered`."""
    return _set(_capped(view), "png", ppi)


def _capped(view: View) -> View:
    """With the first rows of each table alone: a long table is for a screen, and takes seconds to set."""
    tables = tuple(
        msgspec.structs.replace(one, rows=one.rows[:MAX_ROWS], more=one.more + max(0, len(one.rows) - MAX_ROWS))
        for one in view.tables
    )
    return msgspec.structs.replace(view, tables=tables)


def _set(view: View, form: Literal["pdf", "png"], ppi: float) -> list[bytes]:
    try:
        import typst
    except ImportError as error:
        raise SetupError(
            "PDF needs typst, which is not installed.",
            reason="no_pdf",
            hint="Install the extra `pdf` (spectra-mesh[pdf]), or take --format html.",
        ) from error
    template = (resources.files("spectra.ai.reports") / "report.typ").read_bytes()
    data = msgspec.json.encode(view).decode()
    if not _setting.acquire(timeout=_WAIT_S):
        raise Unavailable("As many reports as may be are being set.", reason="busy", hint="Ask again in a moment.")
    try:
        made: Any = typst.compile(template, format=form, ppi=ppi, sys_inputs={"data": data})
    finally:
        _setting.release()
    return cast("list[bytes]", made) if isinstance(made, list) else [bytes(made)] if isinstance(made, bytes) else []
