"""Accounts for those who run the node: who there is, what each may do, how they sign in, what was done about them."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.api.routes.audit import Acts
from spectra.api.routes.keys import Keys
from spectra.api.routes.oauth import Ended
from spectra.errors import BadRequest
from spectra.model.accounts import AccountPage, AccountRecord, RoleList, SessionPage
from spectra.model.people import EndedSessions, FactorList
from spectra.web.attempts import attempted
from spectra.web.forms import Form
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page, query
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_PER_PAGE: Final = 50
_SOME: Final = 20
_AT: Final = "accounts"


def _path(account: str) -> str:
    return f"/accounts/{segment(account)}"


@router.get("/accounts", dependencies=[page("accounts:read")])
async def accounts(visit: VisitDep, after: Annotated[str, Query(max_length=200)] = "", name: str = "") -> Response:
    """All of them by name, and a form for another."""
    if name.strip():
        return visit.go(_path(name.strip()))
    return await _list(visit, after=after)


async def _list(visit: Visit, *, after: str = "", problem: Problem | None = None, form: Form | None = None) -> Response:
    found, roles = await visit.api.together(
        visit.api.get("/v0/accounts", AccountPage, cursor=after, limit=_PER_PAGE),
        visit.api.get("/v0/roles", RoleList),
    )
    return await visit.render(
        "accounts.html",
        title="Accounts",
        at=_AT,
        status=problem.status if problem else 200,
        accounts=found.accounts,
        after=after,
        next=f"/accounts{query(after=found.next_cursor)}" if found.next_cursor else "",
        roles=_grantable(visit, roles),
        problem=problem,
        form=form or Form([]),
    )


def _grantable(visit: Visit, roles: RoleList) -> list[str]:
    """The roles that whoever looks may give: those whose scopes they hold themselves."""
    return [role.name for role in roles.roles if set(role.scopes) <= visit.caller.scopes]


@router.post("/accounts", dependencies=[page("accounts:write")])
async def create(visit: VisitDep) -> Response:
    """Make an account."""
    form = await visit.form()
    name = form.one("name")
    password = form.exact("password") or None
    body = {"name": name, "role": form.one("role", "user"), "trust": _trust(form), "password": password}
    try:
        await visit.api.send("POST", "/v0/accounts", AccountRecord, body)
    except Problem as problem:
        return await _list(visit, problem=problem, form=form)
    return visit.go(_path(name), f"{name} is made.")


def _trust(form: Form) -> float:
    try:
        return float(form.one("trust", "1"))
    except ValueError as error:
        raise BadRequest("The trust has to be a number from 0 to 1.", field="trust") from error


@router.get("/accounts/{account}", dependencies=[page("accounts:read")])
async def account(visit: VisitDep, account: str) -> Response:
    """One: its role, how it signs in, its sessions and keys, and what stands of it in the provenance chain."""
    api = visit.api
    record, factors, roles, sessions = await api.together(
        api.get(f"/v0/accounts/{account}", AccountRecord),
        api.get(f"/v0/accounts/{account}/factors", FactorList),
        api.get("/v0/roles", RoleList),
        api.get("/v0/auth/sessions", SessionPage, account=account, limit=_SOME),
    )
    name = record.name
    keys = await api.get("/v0/keys", Keys, contributor=name) if visit.can("keys:read") else Keys([])
    subject = f"account:{name}"
    acts = await api.get("/v0/audit", Acts, subject=subject, limit=_SOME) if visit.can("audit:read") else Acts([])
    held = next((set(role.scopes) for role in roles.roles if role.name == record.role), set[str]())
    own = name == visit.caller.contributor
    return await visit.render(
        "account.html",
        title=name,
        at=_AT,
        account=record,
        path=_path(name),
        own=own,
        may=visit.can("accounts:write") and held <= visit.caller.scopes,
        roles=_grantable(visit, roles),
        sessions=sessions,
        factors=factors.factors,
        keys=keys.keys,
        acts=acts,
    )


@router.post("/accounts/{account}/change", dependencies=[page("accounts:write")])
async def change(visit: VisitDep, account: str) -> Response:
    """Another role or trust."""
    form = await visit.form()
    body = {"trust": _trust(form)} | ({"role": form.one("role")} if form.one("role") else {})
    asked = visit.api.send("PATCH", f"/v0/accounts/{account}", AccountRecord, body)
    return await attempted(visit, asked, _path(account), "Saved. It holds from the next request on.")


@router.post("/accounts/{account}/status", dependencies=[page("accounts:write")])
async def status(visit: VisitDep, account: str) -> Response:
    """Disable it, which ends its sessions and signatures; or let it in again."""
    disabled = (await visit.form()).one("disabled") == "yes"
    asked = visit.api.send("PATCH", f"/v0/accounts/{account}", AccountRecord, {"disabled": disabled})
    told = f"{account} is disabled; its sessions have ended." if disabled else f"{account} may sign in again."
    return await attempted(visit, asked, _path(account), told)


@router.post("/accounts/{account}/password", dependencies=[page("accounts:write")])
async def password(visit: VisitDep, account: str) -> Response:
    """Set its password, or take it away."""
    form = await visit.form()
    wished = None if form.one("remove") else form.exact("password")
    asked = visit.api.send("POST", f"/v0/accounts/{account}/password", AccountRecord, {"password": wished})
    told = "The password is set" if wished is not None else "The password is gone"
    return await attempted(visit, asked, _path(account), f"{told}; every session of {account} has ended.")


@router.post("/accounts/{account}/sessions/{session}/end", dependencies=[page("accounts:write")])
async def end_session(visit: VisitDep, account: str, session: str) -> Response:
    """End one of its sessions."""
    await visit.form()
    asked = visit.api.send("DELETE", f"/v0/auth/sessions/{session}", Ended)
    return await attempted(visit, asked, _path(account), "The session has ended.")


@router.post("/accounts/{account}/sessions/end", dependencies=[page("accounts:write")])
async def end_sessions(visit: VisitDep, account: str) -> Response:
    """End all of them, but the one that this page is seen by."""
    await visit.form()
    asked = visit.api.send("DELETE", f"/v0/accounts/{account}/sessions", EndedSessions)
    return await attempted(visit, asked, _path(account), "Its sessions have ended.")


@router.post("/accounts/{account}/factors/remove", dependencies=[page("accounts:write")])
async def remove_factors(visit: VisitDep, account: str) -> Response:
    """Take its second factors away, for who has lost them."""
    await visit.form()
    asked = visit.api.send("DELETE", f"/v0/accounts/{account}/factors", FactorList)
    return await attempted(visit, asked, _path(account), f"The password alone lets {account} in again.")
