"""Scans that machines do: the list of them, a form for another, how far one is, and the buttons that steer it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from spectra.errors import BadRequest
from spectra.model.work import Constraints, JobRecord, JobRequest, TargetCounts, TargetRecord, WorkStatus
from spectra.model.workpages import ArtefactPage, JobPage, PresetList, Retried, TargetPage
from spectra.web.asked import unless
from spectra.web.attempts import attempted
from spectra.web.forms import Form
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page, query

router = APIRouter(include_in_schema=False)

_AT: Final = "jobs"
_PER_PAGE: Final = 50
_SOME: Final = 20
STATES: Final = ("running", "paused", "done", "cancelled")
TARGET_STATES: Final = ("waiting", "leased", "submitted", "done", "review", "cancelled")
_Job = Annotated[str, Path(pattern="^job-[0-9a-f]{20}$")]
_Target = Annotated[int, Path(ge=1, le=2**53)]
_Word = Annotated[str, Query(max_length=200)]


def path_of(job: str, verb: str = "") -> str:
    """The page of a job, or where a button of it goes."""
    return f"/jobs/{job}{verb}"


def ended(counts: TargetCounts) -> int:
    """Targets that nothing more happens to by itself."""
    return counts.done + counts.review + counts.cancelled


@router.get("/jobs", dependencies=[page("jobs:read")])
async def jobs(visit: VisitDep, state: _Word = "", account: _Word = "", cursor: _Word = "") -> Response:
    """All of them, newest first, with whether work is handed out at all."""
    state = state if state in STATES else ""
    api = visit.api
    found, work, review = await api.together(
        api.get("/v0/jobs", JobPage, state=state, account=account, cursor=cursor, limit=_PER_PAGE),
        unless(api.get("/v0/work", WorkStatus), 409),
        api.get("/v0/review", TargetPage, limit=_SOME),
    )
    return await visit.render(
        "jobs.html",
        title="Jobs",
        at=_AT,
        jobs=found.jobs,
        work=work,
        state=state,
        states=STATES,
        account=account,
        ended=ended,
        review=len(review.targets),
        review_more=bool(review.next_cursor),
        first=f"/jobs{query(state=state, account=account)}" if cursor else "",
        next=f"/jobs{query(state=state, account=account, cursor=found.next_cursor)}" if found.next_cursor else "",
    )


@router.get("/jobs/new", dependencies=[page("jobs:write")])
async def new(visit: VisitDep, targets: Annotated[str, Query(max_length=4000)] = "", plan: _Word = "") -> Response:
    """A form for a job, of targets or of what a plan says is stale."""
    return await _form(visit, Form([("targets", targets), ("plan", plan)]))


async def _form(visit: Visit, form: Form, problem: BadRequest | Problem | None = None) -> Response:
    api = visit.api
    presets = await unless(api.get("/v0/presets", PresetList), 409)
    work = await unless(api.get("/v0/work", WorkStatus), 409)
    return await visit.render(
        "job_new.html",
        title="New job",
        at=_AT,
        status=getattr(problem, "status", 400) if problem else 200,
        form=form,
        problem=problem,
        presets=presets.presets if presets else (),
        work=work,
    )


@router.post("/jobs", dependencies=[page("jobs:write")])
async def create(visit: VisitDep) -> Response:
    """Have it scanned; where the API refuses, the form comes back with the reason."""
    form = await visit.form()
    try:
        job = await visit.api.send("POST", "/v0/jobs", JobRecord, _wanted(form), once=form.key)
    except (Problem, BadRequest) as problem:
        if isinstance(problem, Problem) and problem.status in (403, 404):
            raise
        return await _form(visit, form, problem)
    return visit.go(path_of(job.job), f"The job is made: {job.addresses} addresses.")


def _wanted(form: Form) -> JobRequest:
    until = form.one("consent_until")
    return JobRequest(
        targets=tuple(form.one("targets").replace(",", " ").split()),
        plan=form.one("plan"),
        preset=form.one("preset", "services"),
        ports=form.one("ports"),
        rate=form.number("rate", 0) or 0,
        priority=form.number("priority", 0) or 0,
        consent=form.one("consent"),
        consent_until=_day(until) if until else None,
        allow=tuple(form.one("allow").replace(",", " ").split()),
        skip=form.has("skip"),
        constraints=Constraints(node=form.one("node"), region=form.one("region"), relay=form.has("relay")),
        windows=tuple(form.one("windows").splitlines()),
        scan_id=form.one("scan_id"),
    )


def _day(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise BadRequest("Write the end of the consent as a day: 2026-12-31.", field="consent_until") from error


@router.get("/jobs/review", dependencies=[page("jobs:read")])
async def review(visit: VisitDep, cursor: _Word = "") -> Response:
    """Targets of all jobs that a person has to look at."""
    found = await visit.api.get("/v0/review", TargetPage, cursor=cursor, limit=_PER_PAGE)
    more = f"/jobs/review{query(cursor=found.next_cursor)}" if found.next_cursor else ""
    first = "/jobs/review" if cursor else ""
    return await visit.render(
        "jobs_review.html", title="Targets in review", at=_AT, targets=found.targets, next=more, first=first
    )


@router.get("/jobs/{job}", dependencies=[page("jobs:read")])
async def job(visit: VisitDep, job: _Job, state: _Word = "", cursor: _Word = "") -> Response:
    """How far it is, who asked and who agreed, its targets and its newest files."""
    state = state if state in TARGET_STATES else ""
    api = visit.api
    record, targets, files = await api.together(
        api.get(f"/v0/jobs/{job}", JobRecord),
        api.get(f"/v0/jobs/{job}/targets", TargetPage, state=state, cursor=cursor, limit=_PER_PAGE),
        api.get("/v0/artefacts", ArtefactPage, job=job, limit=_SOME),
    )
    path = path_of(job)
    return await visit.render(
        "job.html",
        title=record.what,
        at=_AT,
        job=record,
        path=path,
        counts=[(name, getattr(record.counts, name)) for name in TARGET_STATES],
        ended=ended(record.counts),
        over=record.state in ("done", "cancelled"),
        state=state,
        targets=targets.targets,
        artefacts=files.artefacts,
        first=f"{path}{query(state=state)}#targets" if cursor else "",
        next=f"{path}{query(state=state, cursor=targets.next_cursor)}#targets" if targets.next_cursor else "",
    )


@router.get("/jobs/{job}/targets/{target}", dependencies=[page("jobs:read")])
async def target(visit: VisitDep, job: _Job, target: _Target) -> Response:
    """One target with every attempt at it, and the files that machines sent of those."""
    api = visit.api
    record, files = await api.together(
        api.get(f"/v0/targets/{target}", TargetRecord),
        api.get("/v0/artefacts", ArtefactPage, job=job, target=target, limit=_PER_PAGE),
    )
    return await visit.render(
        "job_target.html",
        title=f"Target {target}",
        at=_AT,
        target=record,
        path=path_of(record.job),
        artefacts=files.artefacts,
    )


@router.post("/jobs/{job}/pause", dependencies=[page("jobs:write")])
async def pause(visit: VisitDep, job: _Job) -> Response:
    """Hand out no more of it."""
    return await _steered(visit, job, "/pause", "Paused: what machines scan already goes on.")


@router.post("/jobs/{job}/resume", dependencies=[page("jobs:write")])
async def resume(visit: VisitDep, job: _Job) -> Response:
    """Hand it out again."""
    return await _steered(visit, job, "/resume", "It goes on.")


async def _steered(visit: Visit, job: str, verb: str, told: str, body: dict[str, Any] | None = None) -> Response:
    if body is None:
        await visit.form()
    asked = visit.api.send("POST", f"/v0/jobs/{job}{verb}", JobRecord, body)
    return await attempted(visit, asked, path_of(job), told)


@router.post("/jobs/{job}/cancel", dependencies=[page("jobs:write")])
async def cancel(visit: VisitDep, job: _Job) -> Response:
    """Scan no more of it."""
    reason = (await visit.form()).one("reason")
    return await _steered(visit, job, "/cancel", "Cancelled. What was found stays.", {"reason": reason})


@router.post("/jobs/{job}/priority", dependencies=[page("jobs:write")])
async def prioritise(visit: VisitDep, job: _Job) -> Response:
    """Sooner or later than others."""
    priority = (await visit.form()).number("priority", 0)
    return await _steered(visit, job, "/priority", f"The priority is {priority} now.", {"priority": priority})


@router.post("/jobs/{job}/retry", dependencies=[page("jobs:write")])
async def retry(visit: VisitDep, job: _Job) -> Response:
    """Try the chosen targets again, or all that failed or were cancelled."""
    chosen = [int(text) for text in (await visit.form()).all("id") if text.isascii() and text.isdecimal()]
    try:
        told = await visit.api.send("POST", f"/v0/jobs/{job}/retry", Retried, {"targets": chosen})
    except Problem as problem:
        if problem.status not in (400, 409):
            raise
        return visit.go(path_of(job), f"{problem.detail} {problem.hint}".strip(), bad=True)
    return visit.go(path_of(job), f"{told.retried} targets wait again.")


@router.post("/handing-out/pause", dependencies=[page("jobs:write")])
async def pause_all(visit: VisitDep) -> Response:
    """Hand out nothing, of whatever job."""
    body = {"reason": (await visit.form()).one("reason")}
    asked = visit.api.send("POST", "/v0/work/pause", WorkStatus, body)
    return await attempted(visit, asked, "/jobs", "Nothing is handed out until somebody resumes.")


@router.post("/handing-out/resume", dependencies=[page("jobs:write")])
async def resume_all(visit: VisitDep) -> Response:
    """Hand out again."""
    await visit.form()
    asked = visit.api.send("POST", "/v0/work/resume", WorkStatus)
    return await attempted(visit, asked, "/jobs", "Work is handed out again.")
