"""What agents concluded, what it rests on, and what people decided about it."""

from __future__ import annotations

from typing import Annotated, Final, get_args

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.model.insights import AGENTS, SEVERITIES, InsightPage, InsightRecord, Resolution
from spectra.web.attempts import attempted
from spectra.web.inside import Problem
from spectra.web.next import own_path
from spectra.web.page import VisitDep, page, query
from spectra.web.records import linked
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "insights"
_SHOWN: Final = 50

Word = Annotated[str, Query(max_length=64)]


@router.get("/insights", dependencies=[page("ai:read")])
async def listed(
    visit: VisitDep,
    *,
    agent: Word = "",
    severity: Word = "",
    state: Word = "",
    subject: Annotated[str, Query(max_length=300)] = "",
    cursor: Annotated[str, Query(max_length=2000)] = "",
) -> Response:
    """The worst first."""
    asked = {"agent": agent, "severity": severity, "state": state, "subject": subject}
    found, problem = InsightPage((), ""), None
    try:
        found = await visit.api.get("/v0/insights", InsightPage, **asked, cursor=cursor, limit=_SHOWN)
    except Problem as wrong:
        if wrong.status != 400:
            raise
        problem = wrong
    return await visit.render(
        "insights.html",
        title="Insights",
        at=_AT,
        status=problem.status if problem else 200,
        asked=asked,
        insights=found.insights,
        agents=AGENTS,
        severities=SEVERITIES,
        problem=problem,
        linked=linked,
        more=f"/insights{query(**asked, cursor=found.next_cursor)}" if found.next_cursor else "",
        first=f"/insights{query(**asked)}" if cursor else "",
    )


@router.get("/insights/{insight}", dependencies=[page("ai:read")])
async def one(visit: VisitDep, insight: str) -> Response:
    """One: what it says, the numbers that were looked at, and the lines and records that it rests on."""
    record = await visit.api.get(f"/v0/insights/{segment(insight)}", InsightRecord)
    return await visit.render(
        "insight.html",
        title=record.insight.title,
        at=_AT,
        one=record,
        insight=record.insight,
        resolutions=get_args(Resolution),
        linked=linked,
    )


@router.post("/insights/{insight}/resolve", dependencies=[page("ai:write")])
async def resolve(visit: VisitDep, insight: str) -> Response:
    """Nothing is left to do about it."""
    form = await visit.form()
    back = own_path(form.one("next"), f"/insights/{segment(insight)}")
    body = {"resolution": form.one("resolution"), "comment": form.one("comment")}
    asked = visit.api.send("POST", f"/v0/insights/{segment(insight)}/resolve", InsightRecord, body)
    return await attempted(visit, asked, back, "Resolved.")
