"""How many there are: of what matches, and of everything."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.limits import limited
from spectra.api.selectors import query_of
from spectra.api.tiers import pro_fields
from spectra.model.facets import Count, Overview
from spectra.store import counts, stats

router = APIRouter(tags=["search"])

_OWN: Final = {"q", "exact"}


@router.get(
    "/v0/count",
    summary="How many endpoints match",
    dependencies=[scope("search:read"), limited("search"), pro_fields()],
    responses=described(Count, 400, 401, 403, 429),
    response_class=Response,
)
def count(
    request: Request,
    services: ServicesDep,
    q: Annotated[str, Query(description="such as `country:FR service:http`, in the language of search")] = "",
    exact: Annotated[bool, Query(description="estimate nothing, however long that takes")] = False,
) -> Response:
    """Endpoints that match, and their hosts. Each filter of the language may also be given as a parameter of its name.

    Of many matches no more than a sample is looked at where no tally knows them: the answer says which number is exact.
    """
    return answer(counts.count(services.database, query_of(request, q, services.clock(), _OWN), exact=exact))


@router.get(
    "/v0/stats",
    summary="What the graph holds",
    dependencies=[scope("search:read")],
    responses=described(Overview, 401, 403),
    response_class=Response,
)
def summary(services: ServicesDep) -> Response:
    """Hosts, endpoints, services, certificates, names, observations, places and the feeds behind them."""
    return answer(stats.summary(services.database))
