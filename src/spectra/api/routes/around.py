"""The neighbourhood of a host."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.routes.hosts import canonical
from spectra.model.around import REACH, Around, Relation
from spectra.store import around as neighbourhood

router = APIRouter(tags=["hosts"])


@router.get(
    "/v0/hosts/{ip}/around",
    summary="Hosts that share something with a host",
    dependencies=[scope("hosts:read")],
    responses=described(Around, 400, 401, 403, 404),
    response_class=Response,
)
def around(
    services: ServicesDep,
    ip: str,
    *,
    relation: Annotated[Relation | None, Query(description="only ties of this kind")] = None,
    limit: Annotated[int, Query(ge=1, le=REACH, description="hosts that are told of each tie")] = 12,
) -> Response:
    """The same certificate, SSH host key, network card, name, banner, network (/24, IPv6: /64) or autonomous system.

    Each tie tells how many hosts share it, up to 500, and the first of them; `query` finds all by search.
    """
    return answer(neighbourhood.around(services.database, canonical(ip), relation=relation, most=limit))
