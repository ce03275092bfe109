"""Feeds: which files say where hosts are and which weaknesses there are, how old they are, and taking others."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from fastapi import APIRouter, Path
from starlette.responses import Response

from spectra.model.feeds import FeedChange, FeedPage, FeedSource, Relocating
from spectra.model.vulnfeeds import KNOWN_SOURCES, NVD_API_URL, VulnFeedPage, VulnFeedSource, VulnSync
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "feeds"
_PLACE: Final = "/feeds"
_API: Final = {"places": "/v0/feeds", "weaknesses": "/v0/vuln-feeds"}
_TAKEN: Final = (400, 409, 413, 422, 424, 507)
_URL: Final = "feed_url_refused"
"""Why a URL is answered with 403, as what the caller may not do is."""
_Kind = Annotated[Literal["places", "weaknesses"], Path()]
_Name = Annotated[str, Path(max_length=100)]


@router.get("/feeds", dependencies=[page("feeds:read")])
async def feeds(visit: VisitDep) -> Response:
    """All of them with their ages, and what rests on them."""
    api = visit.api
    places, weaknesses = await api.together(
        api.get(_API["places"], FeedPage), api.get(_API["weaknesses"], VulnFeedPage)
    )
    known = {one.name for one in weaknesses.feeds}
    return await visit.render(
        "feeds.html",
        title="Feeds",
        at=_AT,
        places=places,
        weaknesses=weaknesses,
        known=[(name, url) for name, url in KNOWN_SOURCES.items() if name not in known],
    )


@router.post("/feeds/enrich", dependencies=[page("feeds:write")])
async def enrich(visit: VisitDep) -> Response:
    """Look all stored hosts up in the feeds of now."""
    await visit.form()
    begun = await visit.api.send("POST", "/v0/enrich", Relocating)
    told = "Hosts are looked up again." if begun.started else "That is under way already."
    return visit.go(f"/workflows/{segment(begun.workflow_id)}", told)


@router.post("/feeds/{kind}", dependencies=[page("feeds:write")])
async def add(visit: VisitDep, kind: _Kind) -> Response:
    """Fetch a feed from a URL, from now on."""
    form = await visit.form()
    name, url = form.one("name"), form.one("url")
    path = f"{_API[kind]}/{segment(name) or '-'}"
    if kind == "places":
        return await _changed(visit, "PUT", path, FeedSource(url, form.one("provider")))
    source = VulnFeedSource(url, "nvd-api" if url.startswith(NVD_API_URL) else "")
    return await _begun(visit, "PUT", path, source)


@router.post("/feeds/{kind}/{name}/update", dependencies=[page("feeds:write")])
async def update(visit: VisitDep, kind: _Kind, name: _Name) -> Response:
    """Fetch it again from where it came."""
    await visit.form()
    path = f"{_API[kind]}/{segment(name)}/update"
    return await (_changed if kind == "places" else _begun)(visit, "POST", path)


@router.post("/feeds/places/{name}/rollback", dependencies=[page("feeds:write")])
async def rollback(visit: VisitDep, name: _Name) -> Response:
    """Put the version before in use again."""
    await visit.form()
    return await _changed(visit, "POST", f"{_API['places']}/{segment(name)}/rollback")


@router.post("/feeds/{kind}/{name}/remove", dependencies=[page("feeds:write")])
async def remove(visit: VisitDep, kind: _Kind, name: _Name) -> Response:
    """Do without it."""
    await visit.form()
    path = f"{_API[kind]}/{segment(name)}"
    return await (_changed if kind == "places" else _begun)(visit, "DELETE", path)


async def _changed(visit: Visit, method: str, path: str, body: msgspec.Struct | None = None) -> Response:
    try:
        change = await visit.api.send(method, path, FeedChange, body)
    except Problem as problem:
        return _refused(visit, problem)
    size = f": {change.feed.networks} networks" if change.feed else ""
    return visit.go(_PLACE, f"{change.name} is {change.outcome.replace('_', ' ')}{size}.")


async def _begun(visit: Visit, method: str, path: str, body: msgspec.Struct | None = None) -> Response:
    try:
        begun = await visit.api.send(method, path, VulnSync, body)
    except Problem as problem:
        return _refused(visit, problem)
    if not begun.workflow_id:
        return visit.go(_PLACE, f"{begun.name} is unchanged: this very file was taken before.")
    return visit.go(_PLACE, f"{begun.name} is being taken in; this page tells when it is.")


def _refused(visit: Visit, problem: Problem) -> Response:
    if problem.status not in _TAKEN and problem.reason != _URL:
        raise problem
    return visit.go(_PLACE, f"{problem.detail} {problem.hint}".strip(), bad=True)
