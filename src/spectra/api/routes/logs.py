"""The log of this node: what its process wrote since it started, as far as that is kept."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.routes.activity import since_of
from spectra.model.logrecords import LogPage, LogRecord

router = APIRouter(tags=["health"])

_RANKS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


@router.get(
    "/v0/logs",
    summary="The log of this node, newest first",
    dependencies=[scope("logs:read")],
    responses=described(LogPage, 400, 401, 403),
    response_class=Response,
)
def page(
    services: ServicesDep,
    *,
    level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], Query(description="of that level or worse")
    ] = "debug",
    q: Annotated[str, Query(max_length=200, description="with this text in the message, a field or the trace")] = "",
    since: Annotated[str, Query(max_length=64, description="written since: `1h`, `2026-03-01`")] = "",
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The newest 5,000 records of the process that answers. All of them go to its standard error as JSON lines with ECS
    names: forward those to keep more, or to see several nodes at once.
    """
    begin = since_of(since, services) if since else None
    text = q.strip().lower()
    found = (
        one
        for one in services.log(before)
        if _RANKS.get(one.level, 0) >= _RANKS[level] and (begin is None or one.at >= begin) and _has(one, text)
    )
    records = tuple(islice(found, limit + 1))
    return answer(LogPage(records[:limit], records[limit - 1].number if len(records) > limit else None))


def _has(record: LogRecord, text: str) -> bool:
    if not text:
        return True
    said = (record.message, record.logger, record.trace, *record.fields.keys(), *record.fields.values())
    return any(text in one.lower() for one in said)
