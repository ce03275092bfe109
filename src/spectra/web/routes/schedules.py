"""Schedules: what is scanned again and again, how that goes, and a form for another."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from starlette.responses import Response

from spectra.errors import BadRequest
from spectra.model.lifetimes import parse_age
from spectra.model.work import Constraints, Schedule
from spectra.model.workpages import PresetList, ScheduleList, ScheduleRequest
from spectra.web.asked import unless
from spectra.web.attempts import attempted
from spectra.web.forms import Form
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "schedules"
_PLACE: Final = "/schedules"
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"))
_Name = Annotated[str, Path(max_length=100)]


def path_of(name: str, verb: str = "") -> str:
    """The page of a schedule, or where a button of it goes."""
    return f"{_PLACE}/{segment(name)}{verb}"


def often(seconds: float) -> str:
    """As the form takes it: `6h`, `1d`."""
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds and not seconds % size), (60, "m"))
    return f"{round(seconds / size)}{unit}"


@router.get("/schedules", dependencies=[page("jobs:read")])
async def schedules(visit: VisitDep) -> Response:
    """All of them by name, and a form for another."""
    return await _list(visit)


async def _list(visit: Visit, *, problem: Problem | BadRequest | None = None, form: Form | None = None) -> Response:
    found = await visit.api.get("/v0/schedules", ScheduleList)
    return await visit.render(
        "schedules.html",
        title="Schedules",
        at=_AT,
        status=getattr(problem, "status", 400) if problem else 200,
        schedules=found.schedules,
        presets=await _presets(visit),
        form=form or Form([]),
        problem=problem,
    )


async def _presets(visit: Visit) -> list[tuple[str, str]]:
    found = await unless(visit.api.get("/v0/presets", PresetList), 409)
    return [(one.name, f"{one.name}: {one.description}") for one in found.presets] if found else []


@router.post("/schedules", dependencies=[page("jobs:write")])
async def put(visit: VisitDep) -> Response:
    """Make one, or put another in its place; where it is refused, the form comes back with the reason."""
    form = await visit.form()
    name = form.one("name")
    try:
        path = f"/v0/schedules/{segment(name) or '-'}"
        await visit.api.send("PUT", path, Schedule, _wanted(form))
    except (Problem, BadRequest) as problem:
        if isinstance(problem, Problem) and problem.status == 403:
            raise
        return await _list(visit, problem=problem, form=form)
    return visit.go(path_of(name), f"The schedule {name} stands.")


def _wanted(form: Form) -> ScheduleRequest:
    least = form.one("min_age")
    return ScheduleRequest(
        query=form.one("query"),
        every_s=parse_age(form.one("every", "1d")),
        consent=form.one("consent"),
        preset=form.one("preset", "services"),
        min_age_s=parse_age(least) if least else 0,
        max_endpoints=form.number("max_endpoints", 10_000) or 10_000,
        priority=form.number("priority", -10) or 0,
        allow=tuple(form.one("allow").replace(",", " ").split()),
        constraints=Constraints(node=form.one("node"), region=form.one("region"), relay=form.has("relay")),
        windows=tuple(form.one("windows").splitlines()),
        paused=form.has("paused"),
    )


@router.get("/schedules/{name}", dependencies=[page("jobs:read")])
async def one(visit: VisitDep, name: _Name) -> Response:
    """One: what it scans, how its last turn went, and the form to change it."""
    found = await visit.api.get(f"/v0/schedules/{segment(name)}", Schedule)
    return await visit.render(
        "schedule.html",
        title=found.name,
        at=_AT,
        one=found,
        path=path_of(found.name),
        presets=await _presets(visit),
        form=Form(_fields(found)),
    )


def _fields(found: Schedule) -> list[tuple[str, str]]:
    """A schedule as its form has it."""
    place = found.constraints
    given: dict[str, Any] = {
        "name": found.name,
        "query": found.query,
        "every": often(found.every_s),
        "consent": found.consent,
        "preset": found.preset,
        "min_age": often(found.min_age_s) if found.min_age_s else "",
        "max_endpoints": found.max_endpoints,
        "priority": found.priority,
        "allow": ", ".join(found.allow),
        "node": place.node,
        "region": place.region,
        "windows": "\n".join(found.windows),
    }
    ticked = [(name, "1") for name, on in (("relay", place.relay), ("paused", found.paused)) if on]
    return [(name, str(value)) for name, value in given.items()] + ticked


@router.post("/schedules/{name}/pause", dependencies=[page("jobs:write")])
async def pause(visit: VisitDep, name: _Name) -> Response:
    """Let it rest."""
    return await _steered(visit, name, "/pause", "It rests until it is resumed.")


@router.post("/schedules/{name}/resume", dependencies=[page("jobs:write")])
async def resume(visit: VisitDep, name: _Name) -> Response:
    """Let it go on."""
    return await _steered(visit, name, "/resume", "It goes on.")


@router.post("/schedules/{name}/run", dependencies=[page("jobs:write")])
async def run(visit: VisitDep, name: _Name) -> Response:
    """Run it as soon as can be."""
    return await _steered(visit, name, "/run", "It runs now; the next turn is counted from now.")


async def _steered(visit: Visit, name: str, verb: str, told: str) -> Response:
    await visit.form()
    asked = visit.api.send("POST", f"/v0/schedules/{segment(name)}{verb}", Schedule)
    return await attempted(visit, asked, path_of(name), told)


@router.post("/schedules/{name}/remove", dependencies=[page("jobs:write")])
async def remove(visit: VisitDep, name: _Name) -> Response:
    """Remove it; its jobs go on."""
    await visit.form()
    asked = visit.api.send("DELETE", f"/v0/schedules/{segment(name)}", Schedule)
    return await attempted(visit, asked, path_of(name), f"The schedule {name} is gone. Its jobs go on.", on=_PLACE)
