"""Hosts in words."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.routes.hosts import canonical
from spectra.intel.explain import explain
from spectra.model.explanations import Explanation
from spectra.store import host as hosts

router = APIRouter(tags=["hosts"])


@router.get(
    "/v0/explain/ip/{ip}",
    summary="A host in three points: summary, risks, next steps",
    dependencies=[scope("hosts:read")],
    responses=described(Explanation, 400, 401, 403, 404),
    response_class=Response,
)
def explain_ip(services: ServicesDep, ip: str) -> Response:
    """Drawn from the graph by fixed rules; no language model is asked (`by` says so)."""
    record = hosts.host(services.database, canonical(ip), lifetimes=services.lifetimes)
    return answer(explain(record, services.clock()))
