"""The settings in force, where each comes from, and what the node runs on."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.api.routes.health import Status
from spectra.api.routes.settings import SettingsPage
from spectra.settings.inforce import Setting
from spectra.web.page import VisitDep, page

router = APIRouter(include_in_schema=False)

_AT: Final = "settings"


@router.get("/settings", dependencies=[page("settings:read")])
async def settings(
    visit: VisitDep, q: Annotated[str, Query(max_length=100)] = "", *, changed: bool = False
) -> Response:
    """All of them by section, those whose key or words have `q` in them, or those that are no default."""
    api = visit.api
    found, status = await api.together(api.get("/v0/settings", SettingsPage), api.get("/v0/status", Status))
    wanted = q.strip().lower()
    chosen = [
        one
        for one in found.settings
        if wanted in f"{one.key} {one.description}".lower() and not (changed and one.origin == "default")
    ]
    return await visit.render(
        "settings.html",
        title="Settings",
        at=_AT,
        machine=found.machine,
        node=status,
        q=q,
        changed=changed,
        total=len(found.settings),
        shown=len(chosen),
        sections=[(name, list(rows)) for name, rows in groupby(chosen, section)],
        words=words,
    )


def section(one: Setting) -> str:
    """Of which section it is; those of none come first."""
    return one.key.partition(".")[0] if "." in one.key else ""


def words(value: Any) -> str:
    """A value as people read it."""
    if value is None or value == "":
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "none"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return "none" if value == {} else str(value)
