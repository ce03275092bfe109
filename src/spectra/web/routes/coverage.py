"""Coverage: how fresh the graph is, and where it never looked."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.model.plans import Coverage
from spectra.web.charts.bars import Bar, bars
from spectra.web.charts.svg import Chart
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page, query

router = APIRouter(include_in_schema=False)

_AT: Final = "coverage"


@router.get("/coverage", dependencies=[page("coverage:read")])
async def coverage(visit: VisitDep, q: Annotated[str, Query(max_length=4096)] = "") -> Response:
    """Ages, what is stale by the lifetime of its service, and networks never seen, of all or of a selection."""
    try:
        found = await visit.api.get("/v0/coverage", Coverage, q=q)
    except Problem as problem:
        if problem.status not in (400, 402):
            raise
        return await _page(visit, q, problem=problem)
    return await _page(visit, q, found)


async def _page(visit: Visit, q: str, found: Coverage | None = None, problem: Problem | None = None) -> Response:
    return await visit.render(
        "coverage.html",
        title="Coverage",
        at=_AT,
        status=problem.status if problem else 200,
        q=q,
        found=found,
        problem=problem,
        ages=_ages(found) if found else None,
        services=_services(found, q) if found else None,
    )


def _ages(found: Coverage) -> Chart:
    return bars(
        "Open endpoints by when they were seen last",
        [Bar(age.within if age.within == "older" else f"within {age.within}", age.endpoints) for age in found.ages],
        heading="seen",
        unit="endpoints",
    )


def _services(found: Coverage, q: str) -> Chart:
    """What is stale, by service; a bar leads to its endpoints."""

    def path(service: str) -> str:
        return f"/search{query(q=f'{q} service:{service}'.strip())}" if service.isalnum() else ""

    items = [Bar(one.service or "unknown", one.stale, path(one.service), "st-bad") for one in found.services]
    return bars("Stale endpoints of the largest services", items, heading="service", unit="stale")
