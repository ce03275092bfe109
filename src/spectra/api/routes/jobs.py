"""Scans that machines do: what was asked for, how far it is, and steering it."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.problems import WorkOff
from spectra.api.repeats import KeyHeader, id_of
from spectra.api.routes.plan import question
from spectra.api.services import Services, Work
from spectra.api.tiers import pro_fields, require_fields
from spectra.model.work import JobRecord, JobRequest, JobState, TargetRecord, TargetState
from spectra.model.workpages import Again, Because, JobPage, Priority, Retried, TargetPage
from spectra.store import jobs, plans
from spectra.store.accounts import Act

router = APIRouter(tags=["jobs"])

MAX_REQUEST_BYTES: Final = 4 * 1024 * 1024
"""Of a request for a job: 10,000 targets may be named."""
_WRITES: Final = (400, 401, 403, 404, 409)
_TELLS: Final = (*_WRITES, 408, 413)

JobPath = Annotated[str, Path(pattern="^job-[0-9a-f]{20}$", description="The job's id.")]
TargetPath = Annotated[int, Path(ge=1, le=2**53, description="The target's number.")]
CursorQuery = Annotated[str, Query(max_length=200, description="`next_cursor` of the page before")]
LimitQuery = Annotated[int, Query(ge=1, le=1000)]


@router.post(
    "/v0/jobs",
    summary="Have machines scan",
    status_code=201,
    dependencies=[scope("jobs:write"), pro_fields()],
    responses=described(JobRecord, *_TELLS, status=201),
    openapi_extra=described_body(JobRequest),
    response_class=Response,
)
def ask(
    request: Request,
    services: ServicesDep,
    wanted: Annotated[JobRequest, json_body(JobRequest, MAX_REQUEST_BYTES)],
    idempotency_key: KeyHeader = "",
) -> Response:
    """Targets, or a plan whose stale endpoints are meant, are cut into what one machine scans at a time.

    A job is refused with the reason where a part of it may not be scanned, unless `skip` leaves such parts out.
    `consent` is recorded.
    """
    work, act = work_of(services), act_of(request, services)
    if wanted.plan:
        plan, _ = plans.find(services.database, wanted.plan, act.now)
        require_fields(request, (term.field for term in question(plan.selectors, plan.at).terms))
    return answer(work.ask(wanted, act, job=id_of("job", act.by, idempotency_key)), 201)


@router.get(
    "/v0/jobs",
    summary="Jobs, newest first",
    dependencies=[scope("jobs:read")],
    responses=described(JobPage, 400, 401, 403),
    response_class=Response,
)
def newest(
    services: ServicesDep,
    *,
    state: Annotated[JobState | None, Query(description="only jobs in this state")] = None,
    account: Annotated[str, Query(max_length=200, description="only what this account asked for")] = "",
    cursor: CursorQuery = "",
    limit: LimitQuery = 100,
) -> Response:
    """What was asked for, by whom and why, and how far it is."""
    found, following = jobs.page(
        services.database,
        state=state or "",
        account=account,
        limit=limit,
        cursor=cursor,
    )
    return answer(JobPage(found, following))


@router.get(
    "/v0/jobs/{job}",
    summary="One job",
    dependencies=[scope("jobs:read")],
    responses=described(JobRecord, 400, 401, 403, 404),
    response_class=Response,
)
def one(services: ServicesDep, job: JobPath) -> Response:
    """How far it is, and what it waits for."""
    return answer(services.work.job(job) if services.work else jobs.get(services.database, job))


@router.get(
    "/v0/jobs/{job}/targets",
    summary="The targets of a job",
    dependencies=[scope("jobs:read")],
    responses=described(TargetPage, 400, 401, 403, 404),
    response_class=Response,
)
def targets(
    services: ServicesDep,
    job: JobPath,
    *,
    state: Annotated[TargetState | None, Query(description="only targets in this state")] = None,
    cursor: CursorQuery = "",
    limit: LimitQuery = 100,
) -> Response:
    """In the order they were cut in, without their attempts: `/v0/targets/{target}` has those."""
    found, following = jobs.targets(services.database, job, state=state or "", limit=limit, cursor=cursor)
    return answer(TargetPage(found, following))


@router.post(
    "/v0/jobs/{job}/cancel",
    summary="Cancel a job",
    dependencies=[scope("jobs:write")],
    responses=described(JobRecord, *_TELLS),
    openapi_extra=described_body(Because),
    response_class=Response,
)
def cancel(
    request: Request, services: ServicesDep, job: JobPath, why: Annotated[Because, json_body(Because)]
) -> Response:
    """No target of it is begun any more, and machines that scan one are told to stop. What was found stays."""
    return answer(work_of(services).cancel(job, why.reason, act_of(request, services)))


@router.post(
    "/v0/jobs/{job}/pause",
    summary="Pause a job",
    dependencies=[scope("jobs:write")],
    responses=described(JobRecord, *_WRITES),
    response_class=Response,
)
def pause(request: Request, services: ServicesDep, job: JobPath) -> Response:
    """No more of it is handed out; what machines scan already goes on."""
    return answer(work_of(services).pause(job, act_of(request, services)))


@router.post(
    "/v0/jobs/{job}/resume",
    summary="Go on with a paused job",
    dependencies=[scope("jobs:write")],
    responses=described(JobRecord, *_WRITES),
    response_class=Response,
)
def resume(request: Request, services: ServicesDep, job: JobPath) -> Response:
    """It is handed out again."""
    return answer(work_of(services).resume(job, act_of(request, services)))


@router.post(
    "/v0/jobs/{job}/priority",
    summary="Have a job sooner or later",
    dependencies=[scope("jobs:write")],
    responses=described(JobRecord, *_TELLS),
    openapi_extra=described_body(Priority),
    response_class=Response,
)
def prioritise(
    request: Request, services: ServicesDep, job: JobPath, to: Annotated[Priority, json_body(Priority)]
) -> Response:
    """The targets of the highest priority get their turn first; those of one priority share."""
    return answer(work_of(services).prioritise(job, to.priority, act_of(request, services)))


@router.post(
    "/v0/jobs/{job}/retry",
    summary="Try targets of a job again",
    dependencies=[scope("jobs:write")],
    responses=described(Retried, *_TELLS),
    openapi_extra=described_body(Again),
    response_class=Response,
)
def retry(request: Request, services: ServicesDep, job: JobPath, again: Annotated[Again, json_body(Again)]) -> Response:
    """Those that ended in review or were cancelled wait again, with all their attempts before them."""
    work = work_of(services)
    count = work.retry(job, again.targets, act_of(request, services))
    return answer(Retried(count, work.job(job)))


@router.get(
    "/v0/targets/{target}",
    summary="One target with every attempt at it",
    dependencies=[scope("jobs:read")],
    responses=described(TargetRecord, 400, 401, 403, 404),
    response_class=Response,
)
def target(services: ServicesDep, target: TargetPath) -> Response:
    """Which machine tried it when, with what, and how that ended, in words."""
    return answer(jobs.target(services.database, target))


@router.get(
    "/v0/review",
    summary="Targets that a person has to look at",
    dependencies=[scope("jobs:read")],
    responses=described(TargetPage, 400, 401, 403),
    response_class=Response,
)
def review(services: ServicesDep, *, cursor: CursorQuery = "", limit: LimitQuery = 100) -> Response:
    """Of all jobs: every attempt at them failed, and `reason` says why."""
    found, following = jobs.in_review(services.database, limit=limit, cursor=cursor)
    return answer(TargetPage(found, following))


def work_of(services: Services) -> Work:
    """Who hands work out here; raises `WorkOff` where nobody does."""
    if services.work is None:
        raise WorkOff(
            "This node hands out no scans: it holds no mesh, or that is off in its settings.",
            hint="Set `mesh.enabled` and `work.enabled`, and start it again.",
        )
    return services.work


def act_of(request: Request, services: Services) -> Act:
    """Who asks, and when: what goes on record."""
    return Act(caller_of(request).contributor, services.clock())
