"""Is it alive, is it ready, what does it hold."""

from __future__ import annotations

from datetime import datetime

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from spectra import __version__
from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, open_to, scope
from spectra.identity.roles import PUBLIC
from spectra.model.registration import MeshStatus
from spectra.store import database, provenance, stats

router = APIRouter(tags=["health"])


class Health(msgspec.Struct):
    """`ok`."""

    status: str


class DatabaseStatus(msgspec.Struct):
    """`kind` is `embedded` or `server`; `restarts` counts those of the embedded one since start."""

    kind: str
    version: str
    restarts: int


class ChainStatus(msgspec.Struct):
    """Length and head of the provenance chain."""

    entries: int
    head: str


class Status(msgspec.Struct, omit_defaults=True):
    """What this node holds; `mesh` where machines can join it."""

    version: str
    started: datetime
    database: DatabaseStatus
    counts: dict[str, int]
    chain: ChainStatus
    mesh: MeshStatus | None = None


@router.get(
    "/health/live",
    summary="Is the process alive",
    dependencies=[open_to(PUBLIC)],
    responses=described(Health),
    response_class=Response,
)
async def live() -> Response:
    """Answers as long as the process can."""
    return answer(Health("ok"))


@router.get(
    "/health/ready",
    summary="Can it work",
    dependencies=[open_to(PUBLIC)],
    responses=described(Health),
    response_class=Response,
)
def ready(services: ServicesDep) -> Response:
    """503 while the database is away."""
    provenance.head(services.database)
    return answer(Health("ok"))


@router.get(
    "/metrics",
    summary="Metrics",
    dependencies=[open_to(PUBLIC)],
    responses={200: {"description": "Prometheus text", "content": {"text/plain": {}}}},
    response_class=Response,
)
def metrics(services: ServicesDep) -> Response:
    """Counters and histograms; names no host, key or contributor."""
    services.metrics.restarts.set(services.database_restarts())
    if services.mesh is not None and (state := services.mesh.hearing()) is not None:
        services.metrics.hear(state)
    if services.ai is not None:
        services.metrics.models(services.ai.counts())
    return Response(services.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get(
    "/v0/status",
    summary="What this node holds",
    dependencies=[scope("status:read")],
    responses=described(Status, 401, 403),
    response_class=Response,
)
def status(services: ServicesDep) -> Response:
    """Version, database, counts and the head of the provenance chain."""
    return answer(
        Status(
            version=__version__,
            started=services.started,
            database=DatabaseStatus(
                services.database_kind, database.server_version(services.database), services.database_restarts()
            ),
            counts=stats.counts(services.database),
            chain=ChainStatus(*provenance.head(services.database)),
            mesh=services.mesh.status() if services.mesh else None,
        )
    )


document = APIRouter(tags=["health"])


@document.get("/openapi.json", include_in_schema=False, dependencies=[open_to(PUBLIC)], response_class=Response)
def openapi(request: Request) -> Response:
    """The OpenAPI document of this API."""
    return answer(request.app.openapi())
