"""Roles: what each may do, and roles of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from spectra.errors import NotFound
from spectra.identity.roles import SELF
from spectra.model.accounts import RoleList, RoleRecord
from spectra.web.attempts import attempted
from spectra.web.forms import Form
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "accounts"
_NEVER_GIVEN: Final = SELF | {"admin:all"}  # everybody's, and admin's alone


def _path(role: str) -> str:
    return f"/roles/{segment(role)}"


def by_noun(scopes: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Scopes that one may give, under their nouns."""
    nouns = dict[str, list[str]]()
    for scope in sorted(set(scopes) - _NEVER_GIVEN):
        nouns.setdefault(scope.partition(":")[0], []).append(scope)
    return list(nouns.items())


@router.get("/roles", dependencies=[page("accounts:read")])
async def roles(visit: VisitDep) -> Response:
    """All, the built-in ones first, and a form for another."""
    return await _list(visit)


async def _list(visit: Visit, *, problem: Problem | None = None, form: Form | None = None) -> Response:
    found = await visit.api.get("/v0/roles", RoleList)
    return await visit.render(
        "roles.html",
        title="Roles",
        at=_AT,
        status=problem.status if problem else 200,
        roles=found.roles,
        nouns=by_noun(found.scopes),
        held=visit.caller.scopes,
        problem=problem,
        form=form or Form([]),
        chosen=form.all("scope") if form else [],
    )


@router.post("/roles", dependencies=[page("accounts:write")])
async def create(visit: VisitDep) -> Response:
    """Define a role of one's own."""
    form = await visit.form()
    name = form.one("name")
    try:
        wish = {"scopes": form.all("scope")}
        await visit.api.send("PUT", f"/v0/roles/{segment(name) or '-'}", RoleRecord, wish)
    except Problem as problem:
        return await _list(visit, problem=problem, form=form)
    return visit.go(_path(name), f"The role {name} is defined.")


@router.get("/roles/{role}", dependencies=[page("accounts:read")])
async def role(visit: VisitDep, role: str) -> Response:
    """One: its scopes, to be changed where it is one's own."""
    found = await visit.api.get("/v0/roles", RoleList)
    record = next((one for one in found.roles if one.name == role), None)
    if record is None:
        raise NotFound("There is no such role.", reason="unknown_role")
    return await visit.render(
        "role.html",
        title=record.name,
        at=_AT,
        role=record,
        path=_path(record.name),
        nouns=by_noun(found.scopes),
        held=visit.caller.scopes,
        may=visit.can("accounts:write") and not record.builtin and set(record.scopes) <= visit.caller.scopes,
    )


@router.post("/roles/{role}", dependencies=[page("accounts:write")])
async def change(visit: VisitDep, role: str) -> Response:
    """Other scopes, for everybody who has it."""
    scopes = (await visit.form()).all("scope")
    asked = visit.api.send("PUT", f"/v0/roles/{role}", RoleRecord, {"scopes": scopes})
    return await attempted(visit, asked, _path(role), "Saved. It holds from the next request on.")


@router.post("/roles/{role}/remove", dependencies=[page("accounts:write")])
async def remove(visit: VisitDep, role: str) -> Response:
    """Remove one that no account has."""
    await visit.form()
    asked = visit.api.send("DELETE", f"/v0/roles/{role}", RoleRecord)
    return await attempted(visit, asked, _path(role), f"The role {role} is gone.", on="/roles")
