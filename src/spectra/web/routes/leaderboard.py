"""Free and Pro: where one's own account stands, and who contributed most."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.model.tiers import Leaderboard, Standing
from spectra.web.attempts import attempted
from spectra.web.page import VisitDep, page, query

router = APIRouter(include_in_schema=False)

_PLACE: Final = "/leaderboard"
_PER_PAGE: Final = 50
_WHY: Final = {
    "admin": "Admins always are.",
    "everyone": "Everybody is, on this node.",
    "granted": "An admin made it so.",
    "withheld": "An admin made it so.",
    "own": "The accounts of this node's people are.",
    "earned": "By what it contributed.",
    "not_earned": "Not enough was contributed yet.",
}


@router.get("/leaderboard", dependencies=[page("status:read")])
async def leaderboard(
    visit: VisitDep,
    span: Annotated[str, Query(max_length=10)] = "window",
    cursor: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    """Whose observations made most endpoints fresh, and where one's own account stands."""
    span = span if span == "all" else "window"
    api = visit.api
    found, own = await api.together(
        api.get("/v0/leaderboard", Leaderboard, span=span, cursor=cursor, limit=_PER_PAGE),
        api.get("/v0/account", Standing),
    )
    return await visit.render(
        "leaderboard.html",
        title="Contributions",
        rows=found.contributors,
        span=span,
        own=own,
        why=_WHY.get(own.why, ""),
        first=f"{_PLACE}{query(span=span)}" if cursor else "",
        next=f"{_PLACE}{query(span=span, cursor=found.next_cursor)}" if found.next_cursor else "",
    )


@router.post("/leaderboard", dependencies=[page("self:write")])
async def listed(visit: VisitDep) -> Response:
    """Be on it, or not; what is counted stays."""
    wish = (await visit.form()).one("listed") == "yes"
    asked = visit.api.send("PUT", "/v0/account", Standing, {"listed": wish})
    return await attempted(visit, asked, _PLACE, "Your name is on it." if wish else "Your name is left out.")
