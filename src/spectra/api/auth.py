"""Who may call what: every route declares a scope through one of these dependencies, and a test checks that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

from cryptography import x509
from fastapi import Depends, Request
from fastapi.params import Depends as DependsMarker

from spectra.api.issuing import held_by
from spectra.api.problems import Forbidden
from spectra.api.services import Services
from spectra.flow.members import Peer
from spectra.identity import roles, tokens
from spectra.identity.errors import IdentityError
from spectra.identity.roles import PUBLIC
from spectra.identity.x509 import read_pem
from spectra.store import keys

ENVELOPE = "envelope"
"""The scope of routes where the signed body is the authentication: the gate checks key, role and rate."""


SIGN_IN = "sign-in"
"""The scope of routes where the body carries the credentials: a password, an assertion, a refresh token."""

CERTIFICATE = "certificate"
"""The scope of routes for machines of the mesh, on its own listener: their certificate says who asks."""

INSIDE = "spectra.caller"
"""Where the scope of a request that this process makes of itself (the dashboard's pages) carries whom it speaks for. No
client can set it: what comes over a socket fills other keys."""

_OPEN = (PUBLIC, ENVELOPE, SIGN_IN)


class Caller(NamedTuple):
    """The account that a request speaks for, the scopes it has here and, if it signed in, its session."""

    contributor: str
    role: str
    scopes: frozenset[str]
    session: str = ""


def services_of(request: Request) -> Services:
    """The services of the app that serves `request`."""
    return request.app.state.services


ServicesDep = Annotated[Services, Depends(services_of)]


def scope(name: str) -> DependsMarker:
    """A dependency that lets only callers with scope `name` through."""

    def check(request: Request, services: ServicesDep) -> None:
        caller = request.state.caller = standing(request, services)
        require_scope(caller, name)

    return declaring(check, name)


def standing(request: Request, services: Services) -> Caller:
    """Who asks, as the database has it now: long answers ask again. Raises `Forbidden` for nobody."""
    return request.scope.get(INSIDE) or _caller(request, services)


def require_scope(caller: Caller, name: str) -> None:
    """Raises `Forbidden` unless the caller holds scope `name`."""
    if name in caller.scopes:
        return
    what = "was signed in without" if caller.session and name in roles.scopes(caller.role) else "does not hold"
    raise Forbidden(
        f"The role {caller.role} {what} {name}.", reason="forbidden", hint="Ask an admin for a role that does."
    )


def caller_of(request: Request) -> Caller:
    """The caller that this request's scope let through."""
    return request.state.caller


def open_to(name: str) -> DependsMarker:
    """A dependency for routes that need no token: `PUBLIC`, `ENVELOPE` or `SIGN_IN`."""
    if name not in _OPEN:
        raise ValueError(f"{name} needs a token: use scope()")

    def check() -> None:
        return None

    return declaring(check, name)


def by_certificate(*, demanded: bool = True) -> DependsMarker:
    """A dependency that lets machines of the mesh through, by the certificate of their connection as it holds now.

    With `demanded=False` also who shows none: the route has another way of asking who that is.
    """

    def check(request: Request) -> None:
        certificate = certificate_of(request)
        if certificate is not None:
            request.state.peer = request.app.state.machines.members.known(certificate)
        elif demanded:
            raise Forbidden(
                "This needs the certificate of a node.",
                reason="unauthenticated",
                hint="Join the mesh first: `spectra node token` on the coordinator prints how.",
            )

    return declaring(check, CERTIFICATE)


def certificate_of(request: Request) -> x509.Certificate | None:
    """What the client of this connection showed in the TLS handshake, which led to one of our roots."""
    chain = request.scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", [])
    return read_pem(chain[0])[0] if chain else None


def node_of(request: Request) -> Peer:
    """The machine that `by_certificate` let through."""
    return request.state.peer


def declaring(check: Callable[..., object], name: str) -> DependsMarker:
    """`check` as a dependency that says which scope a route needs: whoever makes one has to check it."""
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
    found = _opaque(services, token.strip()) if tokens.is_opaque(token.strip()) else _signed(services, token.strip())
    if found is None:
        raise Forbidden(
            "This token is unknown, expired or revoked.",
            reason="unauthenticated",
            hint="Sign in again: spectra auth login",
        )
    return found


def _opaque(services: Services, token: str) -> Caller | None:
    found = keys.account(services.database, tokens.digest(token), services.clock())
    return Caller(found.contributor, found.role, roles.scopes(found.role, found.scopes)) if found else None


def _signed(services: Services, token: str) -> Caller | None:
    """The role is the account's as of now, whatever the token says."""
    try:
        found = services.issuer.standing(token)
    except IdentityError:
        return None
    if found is None:
        return None
    session, access = found
    held = held_by(session)
    if access.claims.narrowed:
        held &= set(access.claims.scope.split())
    return Caller(session.contributor, session.role, held, session.id)
