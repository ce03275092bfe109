"""Stale endpoints of a selection, scanned by machines again and again."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.routes.jobs import act_of, work_of
from spectra.api.tiers import pro_fields, require_fields
from spectra.model import query as queries
from spectra.model.work import Schedule
from spectra.model.workpages import ScheduleList, ScheduleRequest
from spectra.store import schedules

router = APIRouter(tags=["jobs"])

_WRITES: Final = (400, 401, 403, 404, 409)
_Name = Annotated[str, Path(pattern="^[a-z0-9]([a-z0-9-]{0,39}[a-z0-9])?$", description="The schedule's name.")]


@router.get(
    "/v0/schedules",
    summary="All schedules",
    dependencies=[scope("jobs:read")],
    responses=described(ScheduleList, 401, 403),
    response_class=Response,
)
def every(services: ServicesDep) -> Response:
    """By name, with when each ran, what became of that, and when it runs next."""
    return answer(ScheduleList(list(schedules.all_of(services.database))))


@router.get(
    "/v0/schedules/{name}",
    summary="One schedule",
    dependencies=[scope("jobs:read")],
    responses=described(Schedule, 400, 401, 403, 404),
    response_class=Response,
)
def one(services: ServicesDep, name: _Name) -> Response:
    """What it scans and how often, and how its last turn went."""
    return answer(schedules.get(services.database, name))


@router.put(
    "/v0/schedules/{name}",
    summary="Make a schedule, or change it",
    dependencies=[scope("jobs:write"), pro_fields()],
    responses=described(Schedule, 400, 401, 403, 408, 409, 413),
    openapi_extra=described_body(ScheduleRequest),
    response_class=Response,
)
def put(
    request: Request,
    services: ServicesDep,
    name: _Name,
    wanted: Annotated[ScheduleRequest, json_body(ScheduleRequest)],
) -> Response:
    """Whoever puts it there answers for its scans from then on: each job has their account and their `consent`."""
    work, act = work_of(services), act_of(request, services)
    require_fields(request, (term.field for term in queries.parse(wanted.query, act.now, {}).terms))
    return answer(work.schedule(Schedule(name=name, **msgspec.structs.asdict(wanted)), act))


@router.delete(
    "/v0/schedules/{name}",
    summary="Remove a schedule",
    dependencies=[scope("jobs:write")],
    responses=described(Schedule, *_WRITES),
    response_class=Response,
)
def remove(request: Request, services: ServicesDep, name: _Name) -> Response:
    """Jobs that it has made go on. Answers the schedule as it was."""
    return answer(work_of(services).unschedule(name, act_of(request, services)))


@router.post(
    "/v0/schedules/{name}/pause",
    summary="Let a schedule rest",
    dependencies=[scope("jobs:write")],
    responses=described(Schedule, *_WRITES),
    response_class=Response,
)
def pause(request: Request, services: ServicesDep, name: _Name) -> Response:
    """It makes no jobs until it is resumed."""
    return answer(work_of(services).pause_schedule(name, True, act_of(request, services)))


@router.post(
    "/v0/schedules/{name}/resume",
    summary="Let a schedule go on",
    dependencies=[scope("jobs:write")],
    responses=described(Schedule, *_WRITES),
    response_class=Response,
)
def resume(request: Request, services: ServicesDep, name: _Name) -> Response:
    """Where its turn was missed, it has it now, once."""
    return answer(work_of(services).pause_schedule(name, False, act_of(request, services)))


@router.post(
    "/v0/schedules/{name}/run",
    summary="Run a schedule now",
    dependencies=[scope("jobs:write")],
    responses=described(Schedule, *_WRITES),
    response_class=Response,
)
def run(request: Request, services: ServicesDep, name: _Name) -> Response:
    """Its next turn is counted from now."""
    return answer(work_of(services).run_schedule(name, act_of(request, services)))
