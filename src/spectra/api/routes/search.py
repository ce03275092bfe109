"""Search."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.limits import limited
from spectra.api.selectors import query_of
from spectra.api.tiers import pro_fields, require_fields, sees_findings
from spectra.model.facets import read_facets
from spectra.model.records import SearchPage
from spectra.store import facets as counting
from spectra.store import search
from spectra.store.search import Paging

router = APIRouter(tags=["search"])

_OWN: Final = {"q", "sort", "cursor", "limit", "facets", "total", "exact"}


@router.get(
    "/v0/search",
    summary="Find endpoints",
    dependencies=[scope("search:read"), limited("search"), pro_fields()],
    responses=described(SearchPage, 400, 401, 403, 429),
    response_class=Response,
)
def find(
    request: Request,
    services: ServicesDep,
    q: Annotated[str, Query(description='such as `port:22,80 product:nginx -service:ssh net:10.0.0.0/8 "words"`')] = "",
    sort: Annotated[str, Query(description="last_seen, first_seen, ip or port; `-` in front reverses")] = "last_seen",
    cursor: Annotated[str, Query(description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=0, le=5000, description="0: no matches, only `total` and `facets`")] = 100,
    facets: Annotated[
        str,
        Query(description="such as `country:10,product:-5,last_seen:day`: the most common, the rarest, a histogram"),
    ] = "",
    total: Annotated[bool, Query(description="with the number of all matches; facets always come with it")] = False,
    exact: Annotated[bool, Query(description="estimate no facet and no total, however long that takes")] = False,
) -> Response:
    """Endpoints in their newest version. Each filter of the language may also be given as a parameter of its name.

    Facets count endpoints. Where very many match and no tally knows them, they are estimated from a sample, and say so.
    Terms about weaknesses hold for one and the same, so facets about weaknesses count those that they hold for: a value
    added to the question as a term finds as many as were counted. Weaknesses that triage settled are left out. Where it
    decided about more than 2,000 of the endpoints one by one, those decisions are not, and the facet is an estimate.
    """
    parsed, asked = query_of(request, q, services.clock(), _OWN), read_facets(facets)
    require_fields(request, (facet.name for facet in asked))
    if not limit:
        counted = counting.answer(services.database, parsed, asked, exact=exact)
        return answer(SearchPage((), total=counted.total, facets=counted.facets))
    if asked or total:
        page = counting.page(services.database, parsed, Paging(sort, cursor, limit), asked, exact=exact)
    else:
        page = search.search(services.database, parsed, sort=sort, cursor=cursor, limit=limit)
    return answer(page if sees_findings(request) else without_findings(page))


def without_findings(page: SearchPage) -> SearchPage:
    """What of a page is for who is Free, or may not read findings."""
    matches = tuple(msgspec.structs.replace(match, findings=0, worst="") for match in page.matches)
    return msgspec.structs.replace(page, matches=matches, findings_hidden=True)
