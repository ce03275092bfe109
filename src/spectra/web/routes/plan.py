"""Plans: what to look at again, oldest first, and handing that to the machines."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from spectra.model.plans import Plan, PlanList
from spectra.web.forms import Form
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page, query
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "plan"
_PER_PAGE: Final = 100
_FIELDS: Final = ("q", "country", "city", "asn", "cloud", "service", "common_port", "net", "min_age")
_Id = Annotated[str, Path(max_length=100)]
_Word = Annotated[str, Query(max_length=4096)]


@router.get("/plan", dependencies=[page("plan:read")])
async def plans(visit: VisitDep, q: _Word = "") -> Response:
    """One's own plans, and a form for another."""
    return await _list(visit, Form([("q", q)]))


async def _list(visit: Visit, form: Form, problem: Problem | None = None) -> Response:
    found = await visit.api.get("/v0/plan", PlanList)
    return await visit.render(
        "plans.html",
        title="Plan",
        at=_AT,
        status=problem.status if problem else 200,
        plans=found.plans,
        form=form,
        problem=problem,
    )


@router.post("/plan", dependencies=[page("plan:read")])
async def make(visit: VisitDep) -> Response:
    """Make a plan of what is stale."""
    form = await visit.form()
    wish = {name: form.one(name) for name in _FIELDS if form.one(name)}
    try:
        made = await visit.api.send("POST", "/v0/plan", Plan, {**wish, "limit": 1})
    except Problem as problem:
        if problem.status not in (400, 422, 429):
            raise
        return await _list(visit, form, problem)
    return visit.go(f"/plan/{segment(made.plan_id)}")


@router.get("/plan/{plan_id}", dependencies=[page("plan:read")])
async def one(visit: VisitDep, plan_id: _Id, cursor: _Word = "") -> Response:
    """A plan and the targets that it still has."""
    path = f"/plan/{segment(plan_id)}"
    found = await visit.api.get(f"/v0{path}", Plan, cursor=cursor, limit=_PER_PAGE)
    return await visit.render(
        "plan.html",
        title="A plan",
        at=_AT,
        plan=found,
        selected=selected(found),
        first=path if cursor else "",
        next=f"{path}{query(cursor=found.next_cursor)}" if found.next_cursor else "",
    )


def selected(plan: Plan) -> str:
    """What it is of, in the language of search."""
    chosen = plan.selectors
    words = [chosen.q, *(f"{name}:{text}" for name, text in chosen.filters.items())]
    words += [f"port:{chosen.common_port}"] if chosen.common_port else []
    return " ".join(word for word in words if word)
