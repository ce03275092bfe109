"""Durable workflows: what is queued, what runs, what failed, and the steps of one."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from spectra.api.routes.workflows import WorkflowPage
from spectra.model.records import WorkflowRecord
from spectra.web.page import VisitDep, page
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "workflows"
_PER_PAGE: Final = 100
STATES: Final = ("pending", "running", "done", "failed")


@router.get("/workflows", dependencies=[page("workflows:read")])
async def workflows(visit: VisitDep, status: Annotated[str, Query(max_length=20)] = "") -> Response:
    """The newest of each queue, or of one state."""
    chosen = status if status in STATES else ""
    api = visit.api
    found, waiting, running, failed = await api.together(
        api.get("/v0/workflows", WorkflowPage, status=chosen, limit=_PER_PAGE),
        *(api.get("/v0/workflows", WorkflowPage, status=one, limit=_PER_PAGE) for one in STATES if one != "done"),
    )
    counts = {"pending": waiting, "running": running, "failed": failed}
    return await visit.render(
        "workflows.html",
        title="Workflows",
        at=_AT,
        workflows=found.workflows,
        status=200,
        chosen=chosen,
        states=STATES,
        counts={name: len(one.workflows) for name, one in counts.items()},
        most=_PER_PAGE,
    )


@router.get("/workflows/{workflow_id}", dependencies=[page("workflows:read")])
async def one(visit: VisitDep, workflow_id: Annotated[str, Path(max_length=200)]) -> Response:
    """One with its steps, and how far it is."""
    found = await visit.api.get(f"/v0/workflows/{segment(workflow_id)}", WorkflowRecord)
    return await visit.render("workflow.html", title=found.name, at=_AT, one=found)
