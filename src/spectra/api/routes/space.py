"""Where in the address space the hosts are."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.limits import limited
from spectra.api.selectors import query_of
from spectra.api.tiers import pro_fields
from spectra.model.space import EVERYTHING, Space, checked_prefix, read_within
from spectra.store import space

router = APIRouter(tags=["search"])

_OWN: Final = {"q", "within", "prefix", "exact"}


@router.get(
    "/v0/space",
    summary="Hosts by network",
    dependencies=[scope("search:read"), limited("search"), pro_fields()],
    responses=described(Space, 400, 401, 403, 429),
    response_class=Response,
)
def networks(
    request: Request,
    services: ServicesDep,
    q: Annotated[str, Query(description="such as `country:FR service:http`, in the language of search")] = "",
    within: Annotated[str, Query(description="the network whose parts are counted, IPv4 or IPv6")] = EVERYTHING,
    prefix: Annotated[int | None, Query(ge=0, le=128, description="bits of a part; 8 more than `within`")] = None,
    exact: Annotated[bool, Query(description="estimate nothing, however long that takes")] = False,
) -> Response:
    """Networks of one size, each with how many hosts in it have an endpoint that matches; 4,096 of them at most.

    Each filter of the language may also be given as a parameter of its name. Of many matches a sample is counted.
    """
    query = query_of(request, q, services.clock(), _OWN)
    inside = read_within(within)
    return answer(space.space(services.database, query, inside, checked_prefix(inside, prefix), exact=exact))
