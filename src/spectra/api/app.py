"""The HTTP API: routers, errors, request ids, metrics and access log."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Final

import anyio
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spectra import __version__
from spectra.api import document, mcp
from spectra.api.auth import INSIDE
from spectra.api.compat import openai
from spectra.api.compat.chatanswers import failure
from spectra.api.compat.eventstream import Streams
from spectra.api.guard import Guard, Refusals
from spectra.api.live import THREADS
from spectra.api.metrics import Metrics
from spectra.api.mounting import serve
from spectra.api.problems import problem
from spectra.api.routes import (
    accounts,
    activity,
    agents,
    ai,
    alerts,
    around,
    artefacts,
    audit,
    blocks,
    correlate,
    counts,
    coverage,
    diff,
    do_not_scan,
    enrich,
    explain,
    exports,
    factors,
    feeds,
    filters,
    findings,
    health,
    hosts,
    ingest,
    insights,
    jobs,
    keys,
    logs,
    nodes,
    oauth,
    observations,
    outlets,
    overview,
    places,
    plan,
    presets,
    provenance,
    reports,
    saved,
    schedules,
    search,
    settings,
    setup,
    similar,
    space,
    summaries,
    tiers,
    triage,
    vex,
    vuln_feeds,
    vulns,
    work,
    workflows,
)
from spectra.api.services import Services
from spectra.errors import BadRequest, SpectraError
from spectra.model.limits import Nets

_log = logging.getLogger("spectra.api")
# A label's values must be bounded: some HTTP parsers let any word through as a method.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

ROUTERS: Final = (
    ingest.router,
    workflows.router,
    observations.router,
    hosts.router,
    around.router,
    alerts.router,
    outlets.router,
    findings.router,
    triage.router,
    vex.router,
    search.router,
    counts.router,
    space.router,
    saved.router,
    exports.router,
    places.router,
    filters.router,
    plan.router,
    coverage.router,
    diff.router,
    explain.router,
    similar.router,
    reports.router,
    vulns.router,
    feeds.router,
    vuln_feeds.router,
    correlate.router,
    keys.router,
    nodes.router,
    jobs.router,
    artefacts.router,
    schedules.router,
    presets.router,
    work.router,
    oauth.router,
    accounts.router,
    factors.router,
    setup.router,
    tiers.router,
    provenance.router,
    activity.router,
    overview.router,
    logs.router,
    audit.router,
    blocks.router,
    do_not_scan.router,
    enrich.router,
    mcp.router,
    ai.router,
    agents.router,
    insights.router,
    summaries.router,
    openai.router,
    settings.router,
    health.router,
)


def create_app(services: Services) -> FastAPI:
    """The app around `services`; starting and stopping those is the caller's.

    Where `app.state.paged` is set, it says of a request how its errors are told, or None: as everywhere else.
    """
    app = routed_app()
    app.state.services = services
    app.state.admission = ingest.Admission(services.max_concurrent_ingests, 4 * services.max_envelope_bytes)
    app.state.streams = Streams()
    app.state.live = anyio.CapacityLimiter(THREADS)
    app.state.overview = overview.Kept()
    app.add_exception_handler(SpectraError, _spectra_error)
    app.add_exception_handler(RequestValidationError, _framework_error)
    app.add_exception_handler(HTTPException, _framework_error)
    app.state.refusals = Refusals(services.database, services.clock, services.networks)
    app.add_middleware(Guard, refusals=app.state.refusals, trusted=Nets(map(str, services.trusted_proxies)))
    app.add_middleware(Observed, metrics=services.metrics)  # the outermost: it sees what the guard refuses
    return app


def routed_app() -> FastAPI:
    """The routes alone, with no services behind them: enough for the OpenAPI document."""
    app = FastAPI(
        title="Spectra",
        version=__version__,
        description="Submit signed scans, search the graph, look into the past of any host.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    serve(app, (*ROUTERS, health.document))
    document.install(app, ROUTERS)
    return app


def _spectra_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, SpectraError):
        raise error
    extra = {"observation_id": o} if (o := getattr(error, "observation_id", "")) else {}
    return _told(request)(error, _id_of(request), **extra)


def _framework_error(request: Request, error: Exception) -> Response:
    ours, headers = translated(error)
    answer = _told(request)(ours, _id_of(request))
    answer.headers.update(headers)
    return answer


def _told(request: Request) -> Callable[..., Response]:
    """How errors of a path are told: to browsers, where the app has pages, as one."""
    paged: Callable[[Request], Callable[..., Response] | None] | None = getattr(request.app.state, "paged", None)
    if paged is not None and (page := paged(request)) is not None:
        return page
    return failure if request.url.path.startswith(openai.PREFIX) else problem


class _Refused(SpectraError):
    """Routing errors of the framework: no such path, no such method."""


def translated(error: Exception) -> tuple[SpectraError, Mapping[str, str]]:
    """An error of the framework in our words, and header fields that belong to it. Raises what is none of those."""
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part not in ("query", "body", "path"))
        return BadRequest(f"{field or 'The body'}: {first['msg']}.", field=field), {}
    if not isinstance(error, HTTPException):
        raise error
    reason = {404: "no_such_path", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return _Refused(f"{error.detail}.", reason=reason), error.headers or {}


def _id_of(request: Request) -> str:
    return getattr(request.state, "request_id", "")


class Observed:
    """ASGI middleware: a request id in and out, metrics by route, one access-log line, and a problem for any defect."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or INSIDE in scope:  # a page asks: the page itself is what is observed
            await self._app(scope, receive, send)
            return
        request_id = scope.setdefault("state", {})["request_id"] = _request_id(scope)
        status = 0
        began = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                kept = any(name == b"cache-control" for name, _ in message["headers"])
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    *(() if kept else ((b"cache-control", b"no-store"),)),
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            _log.exception("request failed", extra={"http.request.id": request_id, "url.path": scope["path"]})
            if status:
                raise  # the answer has begun: all that is left is to break it off
            error = SpectraError("Something went wrong in here; the log has it.", reason="internal")
            await _told(Request(scope))(error, request_id)(scope, receive, send_with_id)
        finally:
            self._record(scope, status or 500, time.perf_counter() - began, request_id)

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        _log.info(
            "%s %s %d",
            scope["method"],
            scope["path"],
            status,
            extra={
                "http.request.id": request_id,
                "http.request.method": scope["method"],
                "http.response.status_code": status,
                "url.path": scope["path"],
                "event.duration": int(seconds * 1e9),
            },
        )


def _request_id(scope: Scope) -> str:
    """The caller's `X-Request-Id` if it is one that can be logged as it is, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(text := value.decode("latin-1")):
            return text
    return uuid.uuid4().hex
