"""All that matches, for other tools."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from spectra.api.answers import a_problem
from spectra.api.auth import ServicesDep, scope
from spectra.api.exporting import KINDS, Export, Format, pieces
from spectra.api.limits import limited
from spectra.api.selectors import query_of
from spectra.api.tiers import pro_fields, sees_findings

router = APIRouter(tags=["search"])

_OWN: Final = {"q", "format", "limit"}


@router.get(
    "/v0/export",
    summary="Export what matches",
    dependencies=[scope("search:read"), limited("search"), pro_fields()],
    responses={
        200: {"content": {kind.media_type.partition(";")[0]: {} for kind in KINDS.values()}},
        **{status: a_problem() for status in (400, 401, 403, 429, 503, 504)},
    },
    response_class=StreamingResponse,
)
def export(
    request: Request,
    services: ServicesDep,
    q: Annotated[str, Query(description="such as `country:FR service:http`, in the language of search")] = "",
    format: Annotated[
        Format, Query(description="csv, jsonl, nmap-xml (can be imported again), geojson or stix (a STIX 2.1 bundle)")
    ] = "jsonl",
    limit: Annotated[int, Query(ge=0, le=10_000_000, description="most endpoints; 0: all")] = 0,
) -> StreamingResponse:
    """Endpoints in order of address, sent while they are read. Each filter of the language may also be given as a
    parameter of its name. Findings are in it where the caller may read them and is Pro; STIX has their CVEs.
    """
    now = services.clock()
    wanted = Export(q.strip(), query_of(request, q, now, _OWN), limit, sees_findings(request))
    kind = KINDS[format]
    name = f"spectra-{now:%Y%m%d-%H%M%S}.{kind.ending}"
    return StreamingResponse(
        pieces(services.database, wanted, format, now),
        media_type=kind.media_type,
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
