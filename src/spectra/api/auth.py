"""Who may call what: every route declares a scope through one of these dependencies, and a test checks that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

from fastapi import Depends, Request
from fastapi.params import Depends as DependsMarker

from spectra.api.problems import Forbidden
from spectra.api.services import Services
from spectra.identity import tokens
from spectra.identity.roles import PUBLIC, allows
from spectra.store import keys

ENVELOPE = "envelope"
"""The scope of routes where the signed body is the authentication: the gate checks key, role and rate."""


class Caller(NamedTuple):
    """The account that a request speaks for."""

    contributor: str
    role: str


def services_of(request: Request) -> Services:
    """The services of the app that serves `request`."""
    return request.app.state.services


ServicesDep = Annotated[Services, Depends(services_of)]


def scope(name: str) -> DependsMarker:
    """A dependency that lets only callers with scope `name` through."""

    def check(request: Request, services: ServicesDep) -> None:
        caller = request.state.caller = _caller(request, services)
        if not allows(caller.role, name):
            raise Forbidden(
                f"The role {caller.role} does not hold {name}.", reason="forbidden", hint="Ask an admin for a role."
            )

    return _declaring(check, name)


def caller_of(request: Request) -> Caller:
    """The caller that this request's scope let through."""
    return request.state.caller


def open_to(name: str) -> DependsMarker:
    """A dependency for routes that need no token: `PUBLIC` or `ENVELOPE`."""
    if name not in (PUBLIC, ENVELOPE):
        raise ValueError(f"{name} needs a token: use scope()")

    def check() -> None:
        return None

    return _declaring(check, name)


def _declaring(check: Callable[..., object], name: str) -> DependsMarker:
    setattr(check, "spectra_scope", name)  # noqa: B010 - read by scope_of
    return DependsMarker(check)


def scope_of(dependencies: list[DependsMarker]) -> str:
    """The scope that a route's dependencies declare, or an empty string."""
    found = [getattr(d.dependency, "spectra_scope", "") for d in dependencies]
    return next((name for name in found if name), "")


def _caller(request: Request, services: Services) -> Caller:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Forbidden(
            "This needs a token.",
            reason="unauthenticated",
            hint="Send `Authorization: Bearer ...`; the command line on the same machine does so by itself.",
        )
    found = keys.account(services.database, tokens.digest(token.strip()), services.clock())
    if found is None:
        raise Forbidden("This token is unknown, expired or revoked.", reason="unauthenticated")
    return Caller(*found)
