"""The app of the mesh's listener: the CA, and what machines ask of their coordinator.

It has its own list of routes: people's API is not served here, nor this there. Whatever is refused is counted, told in
the log with who it was, and held against the network it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spectra import __version__
from spectra.api.app import Observed, translated
from spectra.api.auth import certificate_of
from spectra.api.certificates import step_error, step_status
from spectra.api.guard import Guard, Refusals, address_of
from spectra.api.machines import Machines, machines_of
from spectra.api.mounting import serve
from spectra.api.problems import problem, status_of
from spectra.api.rates import TooOften
from spectra.api.routes import attest, ca, ingest, mesh, results
from spectra.api.services import Services
from spectra.api.strikes import Strikes
from spectra.errors import SpectraError
from spectra.identity.errors import IdentityError
from spectra.identity.names import parse_uri
from spectra.identity.x509 import uri_of
from spectra.model.limits import Address, Nets, source_network

MESH_ROUTERS: Final = (ca.router, mesh.router, attest.router, ingest.router, results.router)

_WRONG: Final = frozenset({400, 401, 403, 404, 413, 422})
_NOT_TOLD: Final = frozenset({"no_such_path", "method_not_allowed", "http_error", "rate_limited"})


def create_mesh_app(services: Services, machines: Machines) -> FastAPI:
    """The app around `services` and the mesh; starting and stopping those is the caller's."""
    app = FastAPI(title="Spectra mesh", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    serve(app, (router for router in MESH_ROUTERS if router is not ca.router or machines.certificates is not None))
    app.state.services = services
    app.state.machines = machines
    app.state.attestations = machines.attestations
    app.state.admission = ingest.Admission(services.max_concurrent_ingests, 4 * services.max_envelope_bytes)
    app.state.results = ingest.Admission(results.AT_ONCE, 2 * services.max_envelope_bytes)
    for kind in (SpectraError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _refuse)
    app.add_middleware(Struck, strikes=machines.strikes)
    refusals = Refusals(services.database, services.clock, services.networks)
    app.add_middleware(Guard, refusals=refusals, trusted=Nets(()))  # machines come themselves, not by a proxy
    app.add_middleware(Observed, metrics=services.metrics)
    return app


def _refuse(request: Request, error: Exception) -> Response:
    headers: Mapping[str, str] = {}
    if not isinstance(error, SpectraError):
        error, headers = translated(error)
    if error.reason not in _NOT_TOLD and not error.retryable and _status(request.scope, error) < 500:
        machines_of(request).notes.note(error.reason, _who(request), error.message)
    answer = _answer(request.scope, error)
    answer.headers.update(headers)
    return answer


def _status(scope: Scope, error: SpectraError) -> int:
    return status_of(error) if _is_ours(scope) else step_status(error)


def _answer(scope: Scope, error: SpectraError) -> Response:
    return problem(error, scope["state"].get("request_id", "")) if _is_ours(scope) else step_error(error)


def _is_ours(scope: Scope) -> bool:
    """Whether a path is of our API; all others are answered as step-ca would."""
    return scope["path"].startswith("/v0/")


def _who(request: Request) -> str:
    """The node that the certificate of the connection names, be it let in or not, or else the address."""
    try:
        certificate = certificate_of(request)
        if certificate is not None:
            return parse_uri(uri_of(certificate))[1]
    except IdentityError:
        pass
    return str(address_of(request) or "local")


class Struck:
    """ASGI middleware: a network from which too much was wrong is told to come later, before anything is looked at."""

    def __init__(self, app: ASGIApp, strikes: Strikes) -> None:
        self._app = app
        self._strikes = strikes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        address: Address | None = scope.get("state", {}).get("address")
        if scope["type"] != "http" or address is None:
            await self._app(scope, receive, send)
            return
        if wait := self._strikes.wait(address):
            answer = _answer(scope, TooOften(f"The network {source_network(address)}", wait))
            answer.headers["Connection"] = "close"
            await answer(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _WRONG:
                self._strikes.strike(address)
            await send(message)

        await self._app(scope, receive, watched)
