"""Search."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.errors import BadRequest
from spectra.model import query as queries
from spectra.model.records import SearchPage
from spectra.store import search

router = APIRouter(tags=["search"])

_OWN: Final = {"q", "sort", "cursor", "limit"}


@router.get(
    "/v0/search",
    summary="Find endpoints",
    dependencies=[scope("search:read")],
    responses=described(SearchPage, 400, 401, 403),
    response_class=Response,
)
def find(
    request: Request,
    services: ServicesDep,
    q: Annotated[str, Query(description='such as `port:22,80 product:nginx -service:ssh net:10.0.0.0/8 "words"`')] = "",
    sort: Annotated[str, Query(description="last_seen, first_seen, ip or port; `-` in front reverses")] = "last_seen",
    cursor: Annotated[str, Query(description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=5000)] = 100,
) -> Response:
    """Endpoints in their newest version. Each filter of the language may also be given as a parameter of its name."""
    parsed = queries.parse(q, services.clock(), _filters(request))
    return answer(search.search(services.database, parsed, sort=sort, cursor=cursor, limit=limit))


def _filters(request: Request) -> dict[str, str]:
    """Parameters named like a field of the language; any other is refused rather than ignored."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in _OWN:
            continue
        if name not in queries.NAMES:
            raise BadRequest(
                f"There is no filter {name[:40]}.", field=name[:40], hint=f"Filters: {', '.join(queries.FIELDS)}."
            )
        if name in given:
            raise BadRequest(f"{name} is given twice.", field=name, hint="Separate values by commas: they mean OR.")
        given[name] = value
    return given
