"""Feeds: which files say where hosts are, taking another, and looking all stored hosts up again."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from spectra.api import bodies
from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.model.feeds import FEED_NAME, FeedChange, FeedPage, FeedRecord, FeedSet, FeedSource, Relocating

router = APIRouter(tags=["feeds"])

Name = Annotated[str, Path(pattern=FEED_NAME, description="Lower case letters, digits, dots, dashes and underscores.")]
Force = Annotated[
    bool, Query(description="Take a feed that shrank by more than half, is of another kind, or was taken back.")
]
Provider = Annotated[
    str, Query(max_length=40, description="Whose networks a plain list or geofeed holds, such as `cloudflare`.")
]
Filename = Annotated[
    str, Query(max_length=200, description="Name of the file; it may tell the provider where nothing else does.")
]


@router.get(
    "/v0/feeds",
    summary="All feeds, and what rests on them",
    dependencies=[scope("feeds:read")],
    responses=described(FeedPage, 401, 403),
    response_class=Response,
)
def every(services: ServicesDep) -> Response:
    """Age, version, networks and last error of each, and how many hosts rest on older ones."""
    return answer(services.feeds.status())


@router.get(
    "/v0/feeds/{name}",
    summary="One feed",
    dependencies=[scope("feeds:read")],
    responses=described(FeedRecord, 400, 401, 403, 404),
    response_class=Response,
)
def one(services: ServicesDep, name: Name) -> Response:
    """The version in use."""
    return answer(services.feeds.one(name))


@router.get(
    "/v0/feed-sets/{feed_set}",
    summary="The feed versions that answers rest on",
    dependencies=[scope("feeds:read")],
    responses=described(FeedSet, 400, 401, 403, 404),
    response_class=Response,
)
def one_set(services: ServicesDep, feed_set: Annotated[int, Path(ge=1, le=2**31 - 1)]) -> Response:
    """A host's place rests on one set; sets are never changed."""
    return answer(services.feeds.feed_set(feed_set))


@router.put(
    "/v0/feeds/{name}",
    summary="Take a feed in, in the place of its last version",
    dependencies=[scope("feeds:write")],
    responses=described(FeedChange, 400, 401, 403, 408, 409, 413, 422, 424, 507),
    openapi_extra=bodies.described_file(FeedSource),
    response_class=Response,
)
async def put(
    request: Request,
    services: ServicesDep,
    name: Name,
    provider: Provider = "",
    filename: Filename = "",
    force: Force = False,
) -> Response:
    """The body is the file, or as JSON where to fetch it from. Whole, sound and not suspiciously small, or not."""
    feeds, by = services.feeds, caller_of(request).contributor
    if (source := await bodies.source(request, FeedSource)) is not None:
        whose = source.provider or provider
        work = partial(feeds.add, name, source.url, by=by, provider=whose, force=force)
        return answer(await run_in_threadpool(work))
    with feeds.incoming(filename or name) as path:
        with path.open("wb") as file:
            await bodies.save(request, feeds.max_bytes, file)
        work = partial(feeds.upload, name, path, by=by, provider=provider, force=force)
        return answer(await run_in_threadpool(work))


@router.post(
    "/v0/feeds/{name}/update",
    summary="Fetch a feed again",
    dependencies=[scope("feeds:write")],
    responses=described(FeedChange, 400, 401, 403, 404, 409, 413, 422, 424),
    response_class=Response,
)
def update(request: Request, services: ServicesDep, name: Name, force: Force = False) -> Response:
    """From the URL it came from; without anything new there, nothing changes."""
    return answer(services.feeds.update(name, by=caller_of(request).contributor, force=force))


@router.post(
    "/v0/feeds/{name}/rollback",
    summary="Put the version before in use again",
    dependencies=[scope("feeds:write")],
    responses=described(FeedChange, 400, 401, 403, 404, 409),
    response_class=Response,
)
def rollback(request: Request, services: ServicesDep, name: Name) -> Response:
    """Rolling back twice undoes it. Hosts follow with `POST /v0/enrich`."""
    return answer(services.feeds.rollback(name, by=caller_of(request).contributor))


@router.delete(
    "/v0/feeds/{name}",
    summary="Do without a feed",
    dependencies=[scope("feeds:write")],
    responses=described(FeedChange, 400, 401, 403, 404),
    response_class=Response,
)
def remove(request: Request, services: ServicesDep, name: Name) -> Response:
    """From the next host on; stored hosts follow with `POST /v0/enrich`."""
    return answer(services.feeds.remove(name, by=caller_of(request).contributor))


@router.post(
    "/v0/enrich",
    summary="Look all stored hosts up in the current feeds",
    status_code=202,
    dependencies=[scope("feeds:write")],
    responses=described(Relocating, 401, 403, status=202),
    response_class=Response,
)
def enrich(services: ServicesDep) -> Response:
    """A durable workflow, `GET /v0/workflows/{id}` tells how far it is. One at a time: asking again gives the same."""
    return answer(services.workflows.relocate(), 202)
