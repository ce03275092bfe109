"""What pages listen to: the topics of which something is new, and nothing else; each page then fetches itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.api import browser
from spectra.api.auth import ServicesDep
from spectra.api.live import Live, topics
from spectra.api.routes.activity import last_id, stream_of, wanted_of
from spectra.model.activity import seen_by
from spectra.web.page import HEADERS, VisitDep, page

router = APIRouter(include_in_schema=False)

_SCOPE = "activity:read"


@router.get("/live", dependencies=[page(_SCOPE)])
async def live(
    request: Request,
    visit: VisitDep,
    services: ServicesDep,
    cursor: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    """Server-sent events, each the name of a topic that whoever looks may see, from `cursor` or from now on."""
    wanted = wanted_of(visit.caller, "", "")

    def still() -> bool:
        visitor = browser.visitor(request, services)
        return (
            visitor is not None and _SCOPE in visitor.caller.scopes and wanted.topics <= seen_by(visitor.caller.scopes)
        )

    return Live(
        stream_of(services),
        visit.caller.contributor,
        wanted,
        topics,
        still=still,
        cursor=cursor if (last := last_id(request)) is None else last,
        threads=request.app.state.live,
        headers=HEADERS,
    )
