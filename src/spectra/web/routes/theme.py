"""What a browser is to remember without an account, and which keys it understands."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from spectra.identity.roles import PUBLIC
from spectra.web.next import own_path
from spectra.web.page import THEMES, VisitDep, anybody

router = APIRouter(include_in_schema=False)

_YEAR_S: Final = 365 * 86400
_KEYS: Final = (
    ("/", "search"),
    ("g then o, s, f, v, a, j, n", "overview, search, findings, weaknesses, alerts, jobs, nodes"),
    ("j, k", "next and previous row"),
    ("Enter or o", "open the row"),
    ("x", "tick the row"),
    ("?", "this page"),
    ("Esc", "leave the field, close what is open"),
)


@router.post("/theme", dependencies=[anybody(PUBLIC)])
async def theme(visit: VisitDep) -> Response:
    """Keep the choice of colours in a cookie, and go back to where it was made."""
    form = await visit.form()
    chosen = form.one("theme", THEMES[0])
    response = visit.go(own_path(form.one("next")))
    if chosen in THEMES:
        response.set_cookie("theme", chosen, max_age=_YEAR_S, path="/", httponly=True, samesite="lax")
    return response


@router.get("/keyboard", dependencies=[anybody(PUBLIC)])
async def keyboard(visit: VisitDep) -> Response:
    """The keys that `life.js` listens to."""
    return await visit.render("keyboard.html", title="Keyboard", keys=_KEYS)
