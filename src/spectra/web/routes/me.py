"""One's own account: password, second factors, sessions and keys."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from spectra.api.routes.keys import Keys
from spectra.api.routes.oauth import Ended
from spectra.model.accounts import AccountRecord, Me, SessionPage
from spectra.model.people import FactorList
from spectra.web.attempts import attempted
from spectra.web.page import VisitDep, page

router = APIRouter(include_in_schema=False)

_AT = "/me"


@router.get("/me", dependencies=[page("self:read")])
async def me(visit: VisitDep) -> Response:
    """All of it on one page."""
    api = visit.api
    found, sessions, factors = await api.together(
        api.get("/v0/accounts/me", Me),
        api.get("/v0/auth/sessions", SessionPage, limit=50),
        api.get("/v0/accounts/me/factors", FactorList),
    )
    name = found.account.name
    keys = await api.get("/v0/keys", Keys, contributor=name) if visit.can("keys:read") else Keys([])
    return await visit.render(
        "me.html",
        title="Your account",
        account=found.account,
        scopes=found.scopes,
        sessions=sessions.sessions,
        factors=factors.factors,
        recovery_codes=factors.recovery_codes,
        keys=keys.keys,
    )


@router.post("/me/password", dependencies=[page("self:write")])
async def password(visit: VisitDep) -> Response:
    """Change it: the current one is asked for, and every other session ends."""
    form = await visit.form()
    wished = form.exact("password")
    if wished != form.exact("again"):
        return visit.go(_AT, "The two new passwords differ; nothing was changed.", bad=True)
    body = {"password": wished, "current": form.exact("current")}
    asked = visit.api.send("POST", "/v0/accounts/me/password", AccountRecord, body)
    return await attempted(visit, asked, _AT, "The password is changed; your other sessions have ended.")


@router.post("/me/sessions/{session}/end", dependencies=[page("self:write")])
async def end_session(visit: VisitDep, session: str) -> Response:
    """End one of one's own sessions, this one too."""
    await visit.form()
    asked = visit.api.send("DELETE", f"/v0/auth/sessions/{session}", Ended)
    return await attempted(visit, asked, _AT, "The session has ended.")
