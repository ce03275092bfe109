"""Signing in and out: a name and a password, then what else the account asks for; or a passkey alone."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from spectra.api import browser, passkeys, signin
from spectra.api.auth import SIGN_IN, ServicesDep
from spectra.api.services import Services
from spectra.api.signin import Refused, Source
from spectra.errors import BadRequest, SpectraError
from spectra.web.next import HOME, own_path
from spectra.web.page import Visit, VisitDep, anybody, query

router = APIRouter(include_in_schema=False)

_Next = Annotated[str, Query(alias="next", max_length=4000)]
_SECOND: Final = "/login/second"
_PASSKEY: Final = "/login/passkey"


# Name and password ---------------------------------------------------------------------------------------------------


@router.get("/login", dependencies=[anybody(SIGN_IN)])
async def login(visit: VisitDep, wanted: _Next = "") -> Response:
    """The form; who is signed in already goes on."""
    if visit.visitor:
        return visit.go(own_path(wanted))
    return await _form(visit, "login.html", "Sign in", wanted, name="")


@router.post("/login", dependencies=[anybody(SIGN_IN)])
async def sign_in(request: Request, services: ServicesDep, visit: VisitDep) -> Response:
    """Check name and password; then on to the second factor, or to the page that was asked for."""
    form = await visit.form()
    name, password, wanted = form.one("name"), form.exact("password"), form.one("next")
    try:
        passed = await run_in_threadpool(signin.password, services, name, password, Source.of(request))
    except Refused as refused:
        return await _form(visit, "login.html", "Sign in", wanted, refused=refused, name=name)
    if not passed.needs:
        return await _signed_in(request, services, visit, name, wanted, by="password")
    put = await run_in_threadpool(signin.wait, request, services, name)
    response = visit.go(_SECOND + query(next=_kept(wanted)))
    put(response)
    return response


def _kept(wanted: str) -> str:
    """Where to go on afterwards, as a form or an address keeps it; nothing for the overview."""
    path = own_path(wanted)
    return "" if path == HOME else path


async def _form(
    visit: Visit, template: str, title: str, wanted: str, *, refused: SpectraError | None = None, **data: Any
) -> Response:
    status = getattr(refused, "status", 400) if refused else 200
    why = refused.message[:1].upper() + refused.message[1:].rstrip(".") + "." if refused else ""
    response = await visit.render(template, title=title, status=status, wanted=_kept(wanted), why=why, **data)
    if wait_s := getattr(refused, "retry_after_s", 0.0):
        response.headers["retry-after"] = str(math.ceil(wait_s))
    return response


async def _signed_in(
    request: Request, services: Services, visit: Visit, account: str, wanted: str, *, by: str
) -> Response:
    put = await run_in_threadpool(lambda: browser.begin(request, services, account, grant=by))
    response = visit.go(own_path(wanted))
    put(response)
    return response


# The second factor ---------------------------------------------------------------------------------------------------


@router.get(_SECOND, dependencies=[anybody(SIGN_IN)])
async def second(request: Request, services: ServicesDep, visit: VisitDep, wanted: _Next = "") -> Response:
    """What else the account asks for, of a browser whose password was right."""
    account = await run_in_threadpool(signin.waiting, request, services)
    if not account:
        return visit.go("/login" + query(next=_kept(wanted)))
    return await _ask_second(request, services, visit, account, wanted=wanted)


async def _ask_second(
    request: Request,
    services: Services,
    visit: Visit,
    account: str,
    *,
    wanted: str,
    refused: SpectraError | None = None,
) -> Response:
    needs = await run_in_threadpool(signin.needs, services, account)
    asked, why_no_passkey = "", ""
    if "passkey" in needs:
        asked, why_no_passkey = await run_in_threadpool(_options, request, services, account)
    return await _form(
        visit,
        "login_second.html",
        "Your second factor",
        wanted,
        refused=refused,
        account=account,
        needs=needs,
        options=asked,
        no_passkey=why_no_passkey,
    )


def _options(request: Request, services: Services, account: str) -> tuple[str, str]:
    """The options for a browser's passkeys as JSON; or why there can be none under this name."""
    try:
        return json.dumps(passkeys.options(request, services, account)), ""
    except BadRequest as error:
        return "", f"{error.message} {error.hint}".strip()


@router.post(_SECOND, dependencies=[anybody(SIGN_IN)])
async def check_second(request: Request, services: ServicesDep, visit: VisitDep) -> Response:
    """A code of an app, a recovery code, or the answer of a passkey."""
    form = await visit.form()
    wanted, code, credential = form.one("next"), form.one("code"), form.exact("credential")
    account = await run_in_threadpool(signin.waiting, request, services)
    if not account:
        return visit.go("/login" + query(next=_kept(wanted)), "That took too long: begin again.", bad=True)

    def check() -> tuple[str, browser.Setter]:
        if credential:
            passkeys.check(request, services, credential, account)
            return "passkey", signin.complete(request, services)
        return signin.second(services, account, code, Source.of(request)), signin.complete(request, services)

    try:
        by, forget = await run_in_threadpool(check)
    except (Refused, BadRequest) as refused:
        return await _ask_second(request, services, visit, account, wanted=wanted, refused=refused)
    response = await _signed_in(request, services, visit, account, wanted, by=f"password+{by}")
    forget(response)
    return response


# A passkey alone -----------------------------------------------------------------------------------------------------


@router.get(_PASSKEY, dependencies=[anybody(SIGN_IN)])
async def passkey(request: Request, services: ServicesDep, visit: VisitDep, wanted: _Next = "") -> Response:
    """Ask the browser for any passkey it has of ours."""
    return await _ask_passkey(request, services, visit, wanted)


async def _ask_passkey(
    request: Request, services: Services, visit: Visit, wanted: str, refused: SpectraError | None = None
) -> Response:
    asked, why = await run_in_threadpool(_options, request, services, "")
    return await _form(
        visit, "login_passkey.html", "Sign in with a passkey", wanted, refused=refused, options=asked, no_passkey=why
    )


@router.post(_PASSKEY, dependencies=[anybody(SIGN_IN)])
async def check_passkey(request: Request, services: ServicesDep, visit: VisitDep) -> Response:
    """Sign in whoever's passkey answered."""
    form = await visit.form()
    wanted = form.one("next")
    try:
        account = await run_in_threadpool(passkeys.check, request, services, form.exact("credential"))
    except (Refused, BadRequest) as refused:
        return await _ask_passkey(request, services, visit, wanted, refused)
    return await _signed_in(request, services, visit, account, wanted, by="passkey")


# Out -----------------------------------------------------------------------------------------------------------------


@router.post("/logout", dependencies=[anybody(SIGN_IN)])
async def sign_out(request: Request, services: ServicesDep, visit: VisitDep) -> Response:
    """End the session of this browser."""
    await visit.form()
    put = await run_in_threadpool(browser.end, request, services, visit.visitor)
    response = visit.go("/login", "You are signed out.")
    put(response)
    return response
