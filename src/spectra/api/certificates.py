"""step-ca's JSON: what its clients send and read (github.com/smallstep/certificates, `api/`), and its errors.

Names are step's; what we do not use of a body is passed over, because newer clients say more.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from cryptography import x509
from fastapi import Depends, Request
from msgspec import Meta
from starlette.responses import Response

from spectra.api.problems import status_of
from spectra.errors import BadRequest, SpectraError
from spectra.flow.authority import Certificates, Period
from spectra.identity.ca import Issued
from spectra.identity.x509 import pem

MAX_BODY_BYTES: Final = 64 * 1024
PEM_FILE: Final = "application/x-pem-file"

# Reasons of the rooms below whose meaning here is that somebody could not show who they are.
_UNPROVEN: Final = frozenset(
    {"bad_token", "token_expired", "untrusted", "expired", "not_yet", "bad_certificate", "unknown_node"}
)
# Go's time.ParseDuration, of which no more than this makes sense for a certificate.
_DURATION: Final = re.compile(r"-?(?:\d{1,9}(?:\.\d{1,9})?(?:h|m|s|ms))+")
_PART: Final = re.compile(r"([\d.]+)(h|ms|m|s)")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

_Text = Annotated[str, Meta(max_length=16 * 1024)]
_Time = Annotated[str, Meta(max_length=64)]


class SignRequest(msgspec.Struct):
    """A certificate request in PEM form and a one-time token; the times as RFC 3339 or as a duration from now."""

    csr: _Text
    ott: _Text
    notBefore: _Time | None = None  # noqa: N815 - step's name
    notAfter: _Time | None = None  # noqa: N815


class RekeyRequest(msgspec.Struct):
    """The certificate of the connection again, for the key of this request."""

    csr: _Text


class RevokeRequest(msgspec.Struct):
    """The certificate with this serial, decimal or `0x...`. Without a token: that of the connection."""

    serial: Annotated[str, Meta(max_length=100)]
    ott: _Text = ""
    reasonCode: Annotated[int, Meta(ge=0, le=10)] = 0  # noqa: N815
    reason: Annotated[str, Meta(max_length=200)] = ""
    passive: bool = False


class TlsOptions(msgspec.Struct):
    """What TLS a holder should use. Renegotiation is off."""

    cipherSuites: tuple[str, ...] = (  # noqa: N815
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    )
    minVersion: float = 1.2  # noqa: N815
    maxVersion: float = 1.3  # noqa: N815
    renegotiation: bool = False


class SignResponse(msgspec.Struct):
    """`certChain` begins with the certificate itself, `ca` is the one after it."""

    crt: str
    ca: str
    certChain: list[str]  # noqa: N815
    tlsOptions: TlsOptions  # noqa: N815


class CertificateList(msgspec.Struct):
    """Certificates in PEM form."""

    crts: list[str]


class Root(msgspec.Struct):
    """The root that was asked for by its fingerprint."""

    ca: str


class Version(msgspec.Struct):
    """Of this program; the CA asks for a client's certificate and does not insist."""

    version: str
    requireClientAuthentication: bool = False  # noqa: N815


class Provisioners(msgspec.Struct):
    """Who may sign one-time tokens: one, whose private key is never handed out."""

    provisioners: list[dict[str, Any]]
    nextCursor: str = ""  # noqa: N815


def certificates_of(request: Request) -> Certificates:
    """The built-in CA of the app that serves `request`; its routes are served where there is one."""
    return request.app.state.machines.certificates


CertificatesDep = Annotated[Certificates, Depends(certificates_of)]


def signed(issued: Issued) -> SignResponse:
    """The answer with a new certificate."""
    chain = [pem(one) for one in (issued.leaf, *issued.chain)]
    return SignResponse(chain[0], chain[1] if len(chain) > 1 else "", chain, TlsOptions())


def listed(certificates: tuple[x509.Certificate, ...]) -> CertificateList:
    """Certificates, each in PEM form."""
    return CertificateList([pem(one) for one in certificates])


def period(asked: SignRequest, now: datetime) -> Period:
    """From when until when the certificate shall hold; None: the CA decides. Raises `BadRequest`.

    A duration counts from now, that until its end from its begin, as in step-ca (`provisioner/sign_options.go`).
    """
    begin = _moment(asked.notBefore, now, "notBefore")
    return Period(begin, _moment(asked.notAfter, begin or now, "notAfter"))


def _moment(text: str | None, now: datetime, field: str) -> datetime | None:
    if not text:
        return None
    if _DURATION.fullmatch(text):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
        return now + timedelta(seconds=min(seconds, 1e9) * (-1 if text.startswith("-") else 1))
    try:
        found = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadRequest(f"{field} is neither a time (RFC 3339) nor a duration such as 24h.", field=field)
    return found.astimezone(UTC)


def serial_of(text: str) -> str:
    """A serial number in decimal. Raises `BadRequest`."""
    try:
        number = int(text, 16) if text.lower().startswith("0x") else int(text, 10)
    except ValueError:
        number = -1
    if number < 0:
        raise BadRequest("`serial` is neither a decimal nor a 0x... number.", field="serial")
    return str(number)


def step_status(error: SpectraError) -> int:
    """The HTTP status of an error to step's clients."""
    return 401 if error.reason in _UNPROVEN else status_of(error)


def step_error(error: SpectraError) -> Response:
    """`status` and `message`, which step's clients show, and `reason`, which ours read."""
    status = step_status(error)
    body: dict[str, Any] = {"status": status, "message": str(error), "reason": error.reason}
    headers: dict[str, str] = {}
    if error.retryable and (wait := getattr(error, "retry_after_s", 0.0)):
        headers["Retry-After"] = str(max(1, round(wait)))
    return Response(msgspec.json.encode(body), status_code=status, headers=headers, media_type="application/json")
