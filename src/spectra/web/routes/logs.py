"""The log of this node, with search."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.model.logrecords import LogPage
from spectra.web.page import VisitDep, page, query
from spectra.web.routes.overview import SPANS

router = APIRouter(include_in_schema=False)

LEVELS: Final = ("info", "warning", "error", "critical")
_PER_PAGE: Final = 100
_Text = Annotated[str, Query(max_length=200)]


@router.get("/logs", dependencies=[page("logs:read")])
async def logs(
    visit: VisitDep,
    q: _Text = "",
    level: _Text = "",
    since: _Text = "",
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """Newest first, of a level or worse, with a text, within a time."""
    level = level if level in LEVELS else ""
    since = since if since in dict(SPANS) else ""
    found = await visit.api.get("/v0/logs", LogPage, q=q, level=level, since=since, before=before, limit=_PER_PAGE)
    asked = {"q": q, "level": level, "since": since}
    return await visit.render(
        "logs.html",
        title="Logs",
        at="logs",
        records=found.records,
        q=q,
        level=level,
        levels=LEVELS,
        since=since,
        spans=SPANS,
        more=f"/logs{query(**asked, before=found.next_cursor)}" if found.next_cursor else "",
        first=f"/logs{query(**asked)}" if before else "",
    )
