"""Letting a device in (RFC 8628): a program on another machine shows a code, and waits for a person to say yes here."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.model.people import DeviceRecord
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page

router = APIRouter(include_in_schema=False)

_ANSWERED: Final = (400, 404, 409, 410)
_NEVER: Final = re.compile(r"[^A-Za-z0-9 -]")


def _plain(code: str) -> str:
    """A code as it can stand in a path: what is in none is left out."""
    return _NEVER.sub("", code) or "-"


@router.get("/device", dependencies=[page("self:write")])
async def device(visit: VisitDep, code: Annotated[str, Query(max_length=40)] = "") -> Response:
    """Ask for the code; or, where it is known, whether to let that device in."""
    if not code.strip():
        return await _page(visit)
    try:
        found = await visit.api.get(f"/v0/auth/devices/{_plain(code)}", DeviceRecord)
    except Problem as problem:
        if problem.status not in _ANSWERED:
            raise
        return await _page(visit, problem=problem)
    return await _page(visit, found)


async def _page(visit: Visit, waiting: DeviceRecord | None = None, *, problem: Problem | None = None) -> Response:
    status = problem.status if problem else 200
    return await visit.render("device.html", title="Let a device in", status=status, waiting=waiting, problem=problem)


@router.post("/device", dependencies=[page("self:write")])
async def decide(visit: VisitDep) -> Response:
    """Let it in as oneself, or refuse it."""
    form = await visit.form()
    code, allow = form.one("code"), form.one("allow") == "yes"
    try:
        await visit.api.send("POST", f"/v0/auth/devices/{_plain(code)}", DeviceRecord, {"allow": allow})
    except Problem as problem:
        if problem.status not in _ANSWERED:
            raise
        return await _page(visit, problem=problem)
    told = (
        "The device is in: go on there. Once it has, it is listed below, and can be put out here."
        if allow
        else "It is refused."
    )
    return visit.go("/me#sessions", told)
