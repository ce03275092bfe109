"""Signing in and out: a name and a password, then what else the account asks for; or a passkey alone."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from spectra.api import browser
from spectra.api.auth import SIGN_IN, ServicesDep
from spectra.api.grants import Refused, Source, check_password
from spectra.web.next import HOME, own_path
from spectra.web.page import Visit, VisitDep, anybody

router = APIRouter(include_in_schema=False)

_Next = Annotated[str, Query(max_length=4000)]


@router.get("/login", dependencies=[anybody(SIGN_IN)])
async def login(visit: VisitDep, next: _Next = "") -> Response:
    """The form; who is signed in already goes on."""
    wanted = own_path(next)
    return visit.go(wanted) if visit.visitor else await _form(visit, wanted)


async def _form(visit: Visit, wanted: str, *, name: str = "", refused: Refused | None = None) -> Response:
    response = await visit.render(
        "login.html",
        title="Sign in",
        status=refused.status if refused else 200,
        wanted="" if wanted == HOME else wanted,
        name=name,
        refused=refused,
    )
    if refused and refused.retry_after_s:
        response.headers["retry-after"] = str(math.ceil(refused.retry_after_s))
    return response


@router.post("/login", dependencies=[anybody(SIGN_IN)])
async def sign_in(request: Request, services: ServicesDep, visit: VisitDep) -> Response:
    """Check name and password, and go on to the page that was asked for."""
    form = await visit.form()
    name, password, wanted = form.one("name"), form.exact("password"), own_path(form.one("next"))
    try:
        await run_in_threadpool(check_password, services, name, password, Source.of(request))
    except Refused as refused:
        return await _form(visit, wanted, name=name, refused=refused)
    return await _signed_in(request, services, visit, name, wanted, grant="password")


async def _signed_in(
    request: Request, services: ServicesDep, visit: Visit, account: str, wanted: str, *, grant: str
) -> Response:
    put = await run_in_threadpool(lambda: browser.begin(request, services, account, grant=grant))
    response = visit.go(wanted)
    put(response)
    return response


@router.post("/logout", dependencies=[anybody(SIGN_IN)])
async def sign_out(request: Request, services: ServicesDep, visit: VisitDep) -> Response:
    """End the session of this browser."""
    await visit.form()
    put = await run_in_threadpool(browser.end, request, services, visit.visitor)
    response = visit.go("/login", "You are signed out.")
    put(response)
    return response
