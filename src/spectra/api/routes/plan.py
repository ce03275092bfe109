"""Plans: what to look at again, oldest first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.limits import limited
from spectra.api.tiers import pro_fields, require_fields
from spectra.flow.planning import question
from spectra.model.lifetimes import parse_age
from spectra.model.plans import MAX_TARGETS, Plan, PlanList, PlanRequest
from spectra.store import plans
from spectra.store.plans import Asked
from spectra.store.staleness import Ages

router = APIRouter(tags=["plan"])


@router.post(
    "/v0/plan",
    summary="Plan what to look at again",
    status_code=201,
    dependencies=[scope("plan:read"), limited("plan"), pro_fields()],
    responses=described(Plan, 400, 401, 403, 408, 413, 429, status=201),
    openapi_extra=described_body(PlanRequest),
    response_class=Response,
)
def make(request: Request, services: ServicesDep, wanted: Annotated[PlanRequest, json_body(PlanRequest)]) -> Response:
    """Stale endpoints of a selection, oldest first: older than the lifetime of their service, or than `min_age`."""
    at = services.clock()
    ages = Ages(at, services.lifetimes, parse_age(wanted.min_age) if wanted.min_age else None)
    selectors = wanted.selectors
    query = question(selectors, at)
    require_fields(request, (term.field for term in query.terms))
    asked = Asked(caller_of(request).contributor, selectors, query, ages)
    return answer(plans.create(services.database, asked, limit=wanted.limit, keeping=services.keeping), 201)


@router.get(
    "/v0/plan",
    summary="Your plans, newest first",
    dependencies=[scope("plan:read")],
    responses=described(PlanList, 400, 401, 403),
    response_class=Response,
)
def newest(request: Request, services: ServicesDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """Plans without their targets; expired ones are gone."""
    found = plans.newest(services.database, caller_of(request).contributor, services.clock(), limit=limit)
    return answer(PlanList(found))


@router.get(
    "/v0/plan/{plan_id}",
    summary="A plan and the targets it still has",
    dependencies=[scope("plan:read"), pro_fields()],
    responses=described(Plan, 400, 401, 403, 404),
    response_class=Response,
)
def one(
    request: Request,
    services: ServicesDep,
    plan_id: str,
    cursor: Annotated[str, Query(description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_TARGETS)] = MAX_TARGETS,
) -> Response:
    """What was rescanned since the plan was made is gone from it. Who knows its id may work it off."""
    found = plans.find(services.database, plan_id, services.clock())
    query = question(found[0].selectors, found[0].at)
    require_fields(request, (term.field for term in query.terms))
    return answer(plans.targets(services.database, found, query, cursor=cursor, limit=limit))
