"""The CA over HTTP, as step-ca speaks it: `step` and every other client of that gets and renews certificates here.

Each route answers at `/` and at `/1.0/`. Errors are step's JSON. Only the mesh's listener serves this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC
from email.utils import format_datetime
from typing import Annotated, Final, TypeVar

from cryptography import x509
from fastapi import APIRouter, Request
from fastapi.params import Depends as DependsMarker
from starlette.responses import Response

from spectra import __version__
from spectra.api.answers import answer
from spectra.api.auth import SIGN_IN, ServicesDep, by_certificate, certificate_of, node_of, open_to
from spectra.api.bodies import json_body
from spectra.api.certificates import (
    MAX_BODY_BYTES,
    PEM_FILE,
    CertificatesDep,
    Provisioners,
    RekeyRequest,
    RevokeRequest,
    Root,
    SignRequest,
    Version,
    listed,
    period,
    serial_of,
    signed,
)
from spectra.api.limits import limited_source
from spectra.api.problems import Forbidden
from spectra.api.routes.health import Health
from spectra.errors import BadRequest, NotFound
from spectra.flow.authority import Certificates
from spectra.identity.roles import PUBLIC
from spectra.identity.x509 import pem

router = APIRouter(tags=["ca"])

PREFIXES: Final = ("", "/1.0")
_CREATED: Final = 201  # step-ca answers some questions so, too

Handler = TypeVar("Handler", bound=Callable[..., object])


def _route(
    method: str, *paths: str, access: DependsMarker, also: Sequence[DependsMarker] = ()
) -> Callable[[Handler], Handler]:
    """Registers a handler at each of `paths`, with and without the version."""

    def register(handler: Handler) -> Handler:
        for path in (prefix + path for prefix in PREFIXES for path in paths):
            router.add_api_route(path, handler, methods=[method], dependencies=[access, *also], response_class=Response)
        return handler

    return register


@_route("GET", "/health", access=open_to(PUBLIC))
async def health() -> Response:
    """Answers as long as the process can."""
    return answer(Health("ok"))


@_route("GET", "/version", access=open_to(PUBLIC))
async def version() -> Response:
    """Which program this is."""
    return answer(Version(__version__))


@_route("GET", "/root/{fingerprint}", access=open_to(PUBLIC))
async def root(fingerprint: str, certificates: CertificatesDep) -> Response:
    """The root with this SHA-256, by which who knows nothing but that begins to trust."""
    return answer(Root(pem(certificates.root(fingerprint.replace("-", "").lower()))))


@_route("GET", "/roots", "/federation", access=open_to(PUBLIC))
async def roots(certificates: CertificatesDep) -> Response:
    """Every root that is trusted now: two while the CA is being exchanged."""
    return answer(listed(certificates.roots), _CREATED)


@_route("GET", "/intermediates", access=open_to(PUBLIC))
async def intermediates(certificates: CertificatesDep) -> Response:
    """What signs the certificates of nodes."""
    return answer(listed(certificates.intermediates), _CREATED)


@_route("GET", "/roots.pem", access=open_to(PUBLIC))
async def roots_pem(certificates: CertificatesDep) -> Response:
    """The roots as one file."""
    return Response(pem(*certificates.roots), media_type=PEM_FILE)


@_route("GET", "/intermediates.pem", access=open_to(PUBLIC))
async def intermediates_pem(certificates: CertificatesDep) -> Response:
    """The intermediates as one file."""
    return Response(pem(*certificates.intermediates), media_type=PEM_FILE)


@_route("GET", "/provisioners", access=open_to(PUBLIC))
async def provisioners(certificates: CertificatesDep) -> Response:
    """Whose one-time tokens are taken: the public key of one JWK provisioner."""
    return answer(Provisioners([certificates.provisioner()]))


@_route("GET", "/provisioners/{kid}/encrypted-key", access=open_to(PUBLIC))
async def encrypted_key(kid: str) -> Response:
    """Nobody gets the key that signs join tokens, encrypted or not: an admin asks the coordinator for a token."""
    raise NotFound(
        "The key of the provisioner is not handed out.", hint="`spectra node token` on the coordinator makes tokens."
    )


@_route("POST", "/sign", access=open_to(SIGN_IN), also=[limited_source("joins")])
def sign(
    certificates: CertificatesDep,
    services: ServicesDep,
    asked: Annotated[SignRequest, json_body(SignRequest, MAX_BODY_BYTES)],
) -> Response:
    """A certificate for a join token, which is used up with it."""
    issued = certificates.sign(asked.csr.encode(), asked.ott, period(asked, services.clock()))
    return answer(signed(issued), _CREATED)


@_route("POST", "/renew", "/re-sign", access=by_certificate(demanded=False))
def renew(request: Request, certificates: CertificatesDep) -> Response:
    """The certificate of the connection again, for the same key; or that of a token which its key signed."""
    certificate = certificate_of(request)
    if certificate is not None:
        return answer(signed(certificates.renew(certificate)), _CREATED)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise BadRequest("missing client certificate")
    return answer(signed(certificates.renew_by_token(token.strip())), _CREATED)


@_route("POST", "/rekey", access=by_certificate())
def rekey(
    request: Request,
    certificates: CertificatesDep,
    asked: Annotated[RekeyRequest, json_body(RekeyRequest, MAX_BODY_BYTES)],
) -> Response:
    """The certificate of the connection again, for another key."""
    return answer(signed(certificates.rekey(node_of(request).certificate, asked.csr.encode())), _CREATED)


@_route("POST", "/revoke", access=by_certificate(demanded=False))
def revoke(
    request: Request,
    certificates: CertificatesDep,
    asked: Annotated[RevokeRequest, json_body(RevokeRequest, MAX_BODY_BYTES)],
) -> Response:
    """The certificate of the connection, and with it the node; or any by a one-time token for its serial."""
    serial = serial_of(asked.serial)
    if not asked.passive:
        raise BadRequest("non-passive revocation not implemented", reason="not_implemented")
    if asked.ott:
        certificates.revoke_by_token(asked.ott, serial, asked.reason)
    else:
        _revoke_own(certificates, certificate_of(request), serial, asked.reason)
    return answer(Health("ok"))


def _revoke_own(certificates: Certificates, own: x509.Certificate | None, serial: str, reason: str) -> None:
    if own is None:
        raise BadRequest("missing ott or client certificate")
    if str(own.serial_number) != serial:
        raise Forbidden(
            f'request serial number "{serial}" and certificate serial number "{own.serial_number}" do not match'
        )
    certificates.revoke_own(own, reason)


@_route("GET", "/crl", access=open_to(PUBLIC))
def crl(request: Request, certificates: CertificatesDep) -> Response:
    """What was revoked and has not expired (RFC 5280): DER, or PEM with `?pem`. Nodes do not need it: see `revoked`."""
    made = certificates.crl()
    headers = {"Expires": format_datetime(made.until.astimezone(UTC), usegmt=True)}
    if "pem" in request.query_params:
        return Response(made.pem, media_type=PEM_FILE, headers=headers)
    return Response(made.der, media_type="application/pkix-crl", headers=headers)
