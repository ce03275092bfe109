"""Puts the dashboard into the app of the API: its pages, its files, and errors that a person can read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from spectra.api import browser
from spectra.api.app import ROUTERS as API
from spectra.api.auth import services_of
from spectra.api.mounting import serve
from spectra.api.problems import status_of
from spectra.errors import SpectraError
from spectra.web import statics
from spectra.web.inside import Problem
from spectra.web.next import login_path
from spectra.web.page import HEADERS, SignInFirst, Visit, visit_of
from spectra.web.routes import (
    accounts,
    ai,
    alerts,
    around,
    compare,
    coverage,
    device,
    exclusions,
    exports,
    factors,
    feeds,
    findings,
    hosts,
    insights,
    jobs,
    leaderboard,
    live,
    login,
    logs,
    me,
    nodes,
    observations,
    outlets,
    overview,
    plan,
    provenance,
    reports,
    roles,
    rules,
    saved,
    schedules,
    search,
    settings,
    setup,
    space,
    theme,
    vulns,
    workflows,
)

ROUTERS: Final = (
    statics.router,
    theme.router,
    overview.router,
    logs.router,
    search.router,
    space.router,
    saved.router,
    exports.router,
    live.router,
    login.router,
    setup.router,
    device.router,
    me.router,
    factors.router,
    accounts.router,
    roles.router,
    hosts.router,
    around.router,
    compare.router,
    observations.router,
    findings.router,
    vulns.router,
    reports.router,
    insights.router,
    rules.router,
    alerts.router,
    outlets.router,
    ai.router,
    coverage.router,
    exclusions.router,
    feeds.router,
    jobs.router,
    leaderboard.router,
    nodes.router,
    plan.router,
    provenance.router,
    schedules.router,
    settings.router,
    workflows.router,
)
_TITLES: Final = {
    400: "That cannot be read",
    401: "Sign in first",
    402: "This belongs to Pro",
    403: "You may not do this",
    404: "There is nothing here",
    405: "Not that way",
    409: "Not as things stand",
    413: "Too much at once",
    429: "Too often",
    503: "Busy for a moment",
    504: "That took too long",
}


def install(app: FastAPI) -> None:
    """Serve the dashboard by `app`, which serves the API already."""
    api = {_first(getattr(route, "path", "/")) for router in API for route in router.routes}
    serve(app, ROUTERS)

    def paged(request: Request) -> Callable[..., Response] | None:
        is_page = "text/html" in request.headers.get("accept", "") and _first(request.url.path) not in api
        return _teller(request) if is_page else None

    app.state.paged = paged


def _first(path: str) -> str:
    return path.lstrip("/").partition("/")[0]


def _teller(request: Request) -> Callable[..., Response]:
    """Tells the errors of one request of a browser."""

    def told(error: SpectraError, request_id: str, /, **_: object) -> Response:
        if isinstance(error, SignInFirst):
            return RedirectResponse(login_path(error.path, error.query), 303, HEADERS)
        status = error.status if isinstance(error, Problem) else status_of(error)
        title = _TITLES.get(status, "Something went wrong")
        response = _visit(request, status).page(
            "error.html", title=title, status=status, error=error, request_id=request_id, code=status
        )
        if wait := getattr(error, "retry_after_s", 0.0):
            response.headers["retry-after"] = str(math.ceil(wait))
        return response

    return told


def _visit(request: Request, status: int) -> Visit:
    """Who looks at the error: with the navigation where that can be known, without where nothing works."""
    if hasattr(request.state, "visit") or status >= 500:
        return visit_of(request)
    try:
        return Visit(request, browser.visitor(request, services_of(request)))
    except SpectraError:
        return Visit(request, None)
