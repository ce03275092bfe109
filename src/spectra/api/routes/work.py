"""Whether work is handed out, and to whom: the state of it, pausing all of it, and machines that are to get nothing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.routes.jobs import act_of, work_of
from spectra.model.work import WorkerRecord, WorkStatus
from spectra.model.workpages import Because

router = APIRouter(tags=["jobs"])

_Name = Annotated[str, Path(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="The node's name.")]


@router.get(
    "/v0/work",
    summary="Whether work is handed out",
    dependencies=[scope("jobs:read")],
    responses=described(WorkStatus, 401, 403, 409),
    response_class=Response,
)
def status(services: ServicesDep) -> Response:
    """How much there is of it, what holds it up, and the machines that do it."""
    return answer(work_of(services).status())


@router.post(
    "/v0/work/pause",
    summary="Hand out nothing",
    dependencies=[scope("jobs:write")],
    responses=described(WorkStatus, 400, 401, 403, 408, 409, 413),
    openapi_extra=described_body(Because),
    response_class=Response,
)
def pause(request: Request, services: ServicesDep, why: Annotated[Because, json_body(Because)]) -> Response:
    """No machine gets anything new, of whatever job, until somebody resumes; what they scan already goes on."""
    return answer(work_of(services).pause_all(why.reason, act_of(request, services)))


@router.post(
    "/v0/work/resume",
    summary="Hand out work again",
    dependencies=[scope("jobs:write")],
    responses=described(WorkStatus, 401, 403, 409),
    response_class=Response,
)
def resume(request: Request, services: ServicesDep) -> Response:
    """Jobs that are paused by themselves stay so."""
    return answer(work_of(services).resume_all(act_of(request, services)))


@router.post(
    "/v0/nodes/{name}/drain",
    summary="Give a machine nothing new",
    dependencies=[scope("jobs:write")],
    responses=described(WorkerRecord, 400, 401, 403, 404, 409),
    response_class=Response,
)
def drain(request: Request, services: ServicesDep, name: _Name) -> Response:
    """For maintenance: what it scans it brings to an end, and then it is idle."""
    return answer(work_of(services).drain(name, True, act_of(request, services)))


@router.post(
    "/v0/nodes/{name}/undrain",
    summary="Give a drained machine work again",
    dependencies=[scope("jobs:write")],
    responses=described(WorkerRecord, 400, 401, 403, 404, 409),
    response_class=Response,
)
def undrain(request: Request, services: ServicesDep, name: _Name) -> Response:
    """It is asked again what it would take."""
    return answer(work_of(services).drain(name, False, act_of(request, services)))
