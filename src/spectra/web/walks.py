"""Walks of the provenance chain that pages began: one at a time, going on when the browser has left."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.background import BackgroundTask

from spectra.errors import SpectraError
from spectra.model.records import ChainReport
from spectra.web.inside import Inside

_log = logging.getLogger("spectra.web")
_WALK = "/v0/provenance/verify"
_CUT = "The walk broke off; the log says why."


class _Line(msgspec.Struct):
    """A line of the stream: one of these."""

    progress: dict[str, int] | None = None
    report: ChainReport | None = None
    error: dict[str, Any] | None = None


@dataclass
class Walk:
    """One walk: `report` is its outcome, `trouble` why there is none; neither while it lasts."""

    by: str
    deep: bool
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    done: int = 0
    total: int = 0
    report: ChainReport | None = None
    trouble: str = ""

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.ended is None

    def take(self, line: _Line) -> None:
        """What the walk told."""
        if line.progress:
            self.done, self.total = line.progress["done"], line.progress["total"]
        elif line.report:
            self.report = line.report
        elif line.error:
            self.trouble = str(line.error.get("detail", _CUT))


def newest(app: FastAPI) -> Walk | None:
    """The walk that is under way, or the last one since this node started."""
    return getattr(app.state, "walk", None)


def begin(app: FastAPI, api: Inside, by: str, *, deep: bool) -> BackgroundTask | None:
    """A walk, to be done once the answer that carries it was sent; None where one is under way already."""
    before = newest(app)
    if before and before.running:
        return None
    walk = app.state.walk = Walk(by, deep)
    return BackgroundTask(_follow, api, walk)


async def _follow(api: Inside, walk: Walk) -> None:
    try:
        answer, bodies = await api.stream("POST", _WALK, params={"deep": walk.deep})
        if answer.status >= 400:
            walk.trouble = "The chain may not be walked at the moment."
        rest = b""
        async for body in bodies:
            *lines, rest = (rest + body).split(b"\n")
            for line in filter(None, lines):
                walk.take(msgspec.json.decode(line, type=_Line))
        if walk.report is None and not walk.trouble:
            walk.trouble = _CUT
    except (SpectraError, msgspec.MsgspecError, ExceptionGroup):
        _log.exception("a walk of the provenance chain broke off")
        walk.trouble = _CUT
    finally:
        walk.ended = datetime.now(UTC)
