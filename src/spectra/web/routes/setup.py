"""The first start: a link that is good once makes the first account, and signs it in."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from spectra.api import browser
from spectra.api.auth import SIGN_IN, ServicesDep
from spectra.model.people import SetupDone, SetupState
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, anybody

router = APIRouter(include_in_schema=False)

_AGAIN: Final = "The two passwords differ."


@router.get("/setup", dependencies=[anybody(SIGN_IN)])
async def setup(visit: VisitDep, token: Annotated[str, Query(max_length=200)] = "") -> Response:
    """The form, for whoever has the link; else how to come by it."""
    is_open = (await visit.api.get("/v0/setup", SetupState)).open
    return await _form(visit, token if is_open else "", is_open=is_open)


async def _form(
    visit: Visit, token: str, *, is_open: bool = True, name: str = "admin", why: str = "", status: int = 200
) -> Response:
    return await visit.render(
        "setup.html", title="Set up Spectra", status=status, token=token, is_open=is_open, name=name, why=why
    )


@router.post("/setup", dependencies=[anybody(SIGN_IN)])
async def make(request: Request, services: ServicesDep, visit: VisitDep) -> Response:
    """Make the first admin, and sign in."""
    form = await visit.form()
    token, name, password = form.one("token"), form.one("name"), form.exact("password")
    if password != form.exact("again"):
        return await _form(visit, token, name=name, why=_AGAIN, status=400)
    body = {"token": token, "name": name, "password": password}
    try:
        made = await visit.api.send("POST", "/v0/setup", SetupDone, body)
    except Problem as problem:
        why = f"{problem.detail} {problem.hint}".strip()
        return await _form(visit, token, name=name, why=why, status=problem.status)
    put = await run_in_threadpool(lambda: browser.begin(request, services, made.account, grant="setup"))
    response = visit.go(
        "/", f"Welcome, {made.account}. A second factor makes your account safer: it is under Your account."
    )
    put(response)
    return response
