"""Holding all stored services against all known weaknesses again."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.model.correlation import Correlating

router = APIRouter(tags=["vulns"])


@router.post(
    "/v0/correlate",
    summary="Hold all stored services against all CVEs again",
    status_code=202,
    dependencies=[scope("feeds:write")],
    responses=described(Correlating, 401, 403, status=202),
    response_class=Response,
)
def correlate(services: ServicesDep) -> Response:
    """Not needed after a sync or a scan: these are followed by themselves. What stays true keeps its date.

    A durable workflow, `GET /v0/workflows/{id}` tells how far it is. One at a time: asking again gives the same.
    """
    return answer(services.correlations.start(), 202)
