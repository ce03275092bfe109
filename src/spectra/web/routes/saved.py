"""Searches that people keep: saved from the page of a search, listed, and forgotten."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from spectra.errors import BadRequest
from spectra.model.saved import SavedSearch, SavedSearches, checked_name
from spectra.web.inside import Problem
from spectra.web.page import VisitDep, page, query

router = APIRouter(include_in_schema=False)


@router.get("/search/saved", dependencies=[page("search:read")])
async def kept(visit: VisitDep) -> Response:
    """All that one keeps."""
    found = await visit.api.get("/v0/searches", SavedSearches)
    return await visit.render("saved.html", title="Saved searches", at="search", kept=found.searches)


@router.post("/search/saved", dependencies=[page("self:write")])
async def keep(visit: VisitDep) -> Response:
    """Keep a search under a name."""
    form = await visit.form()
    name, text, sort = form.one("name"), form.one("q"), form.one("sort", "last_seen")
    back = f"/search{query(q=text, sort=sort)}"
    try:
        path, body = f"/v0/searches/{checked_name(name)}", {"query": text, "sort": sort}
        saved = await visit.api.send("PUT", path, SavedSearch, body)
    except (BadRequest, Problem) as error:
        if isinstance(error, Problem) and error.status not in (400, 409):
            raise
        return visit.go(back, f"{error.message} {error.hint}".strip(), bad=True)
    return visit.go(back, f"Saved as {saved.name}.")


@router.post("/search/saved/remove", dependencies=[page("self:write")])
async def remove(visit: VisitDep) -> Response:
    """Forget one."""
    form = await visit.form()
    name = checked_name(form.one("name"))
    await visit.api.send("DELETE", f"/v0/searches/{name}", SavedSearch)
    return visit.go("/search/saved", f"{name} is forgotten.")
