"""The feeds of weaknesses: what they tell of, taking another, and taking one back."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from spectra.api import bodies
from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.model.feeds import FEED_NAME
from spectra.model.vulnfeeds import VulnFeedPage, VulnFeedSource, VulnSync

router = APIRouter(tags=["feeds"])

Name = Annotated[str, Path(pattern=FEED_NAME, description="Lower case letters, digits, dots, dashes and underscores.")]
Force = Annotated[
    bool,
    Query(description="Take what is older or much smaller than what is held, of another kind, or was taken before."),
]


@router.get(
    "/v0/vuln-feeds",
    summary="All feeds of weaknesses, and how much they cover",
    dependencies=[scope("feeds:read")],
    responses=described(VulnFeedPage, 401, 403),
    response_class=Response,
)
def every(services: ServicesDep) -> Response:
    """Age, version, records and last error of each; of how many CVEs its kind tells, and how; and the whole corpus."""
    return answer(services.vuln_feeds.status())


@router.put(
    "/v0/vuln-feeds/{name}",
    summary="Take a feed of weaknesses in",
    status_code=202,
    dependencies=[scope("feeds:write")],
    responses=described(VulnSync, 400, 401, 403, 408, 413, 422, 507, status=202),
    openapi_extra=bodies.described_file(VulnFeedSource),
    response_class=Response,
)
async def put(request: Request, services: ServicesDep, name: Name, force: Force = False) -> Response:
    """The body is the file, or as JSON where to fetch it from. What it tells is added to what is known, or replaces it
    where it is newer, by a durable workflow: `GET /v0/workflows/{id}` tells how far it is.
    """
    feeds, by = services.vuln_feeds, caller_of(request).contributor
    if (source := await bodies.source(request, VulnFeedSource)) is not None:
        return answer(await run_in_threadpool(partial(feeds.add, name, source, by=by, force=force)), 202)
    with feeds.incoming() as path:
        with path.open("wb") as file:
            await bodies.save(request, feeds.max_bytes, file)
        return answer(await run_in_threadpool(partial(feeds.upload, name, path, by=by, force=force)), 202)


@router.post(
    "/v0/vuln-feeds/{name}/update",
    summary="Fetch a feed of weaknesses again",
    status_code=202,
    dependencies=[scope("feeds:write")],
    responses=described(VulnSync, 400, 401, 403, 404, status=202),
    response_class=Response,
)
def update(request: Request, services: ServicesDep, name: Name, force: Force = False) -> Response:
    """From the URL it came from, one at a time: asking again gives the same workflow."""
    return answer(services.vuln_feeds.update(name, by=caller_of(request).contributor, force=force), 202)


@router.delete(
    "/v0/vuln-feeds/{name}",
    summary="Do without a feed of weaknesses",
    status_code=202,
    dependencies=[scope("feeds:write")],
    responses=described(VulnSync, 400, 401, 403, 404, status=202),
    response_class=Response,
)
def remove(request: Request, services: ServicesDep, name: Name) -> Response:
    """What no other feed of its kind tells is taken back by a workflow: CVEs that nobody tells of any more go."""
    return answer(services.vuln_feeds.remove(name, by=caller_of(request).contributor), 202)
