"""HTTPS to the CA and to the coordinator, as a machine of the mesh speaks it: bounded answers, typed refusals.

A machine with a wrong clock refuses good certificates and sends statements from the past. Each answer carries the
server's time (`Date`, RFC 9110 section 6.6.1), so what fails for that reason can say so. That time is used for the
message alone: whoever sends it may lie.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Final, TypeVar

import httpx
import msgspec
from cryptography import x509

from spectra import __version__
from spectra.fabric.errors import MeshError, Unreachable
from spectra.fabric.link import TlsFiles
from spectra.identity.x509 import pem

MAX_ANSWER_BYTES: Final = 256 * 1024
MAX_SKEW_S: Final = 60.0
"""Certificates are backdated by a minute; clocks further apart than that are what a refusal may come from."""

_WHOLE_S: Final = 60.0  # of an answer that drips
_TIMEOUT: Final = httpx.Timeout(connect=10.0, read=30.0, write=10.0, pool=10.0)
_OF_TIME: Final = frozenset(
    {"token_expired", "expired", "from_the_future", "not_yet", "certificate_expired", "certificate_not_yet"}
)
_BUSY: Final = frozenset({429, 502, 503, 504})
# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (openssl/x509_vfy.h).
_NOT_YET, _EXPIRED = 9, 10
_MAX_TOLD: Final = 300

T = TypeVar("T")


class Refused(MeshError):
    """The server understood and said no; `status` is the HTTP status, `reason` its word where it gave one.

    `revoked`: this machine was thrown out of the mesh.
    """

    reason = "refused"

    def __init__(self, message: str, *, reason: str | None = None, hint: str = "", status: int = 0) -> None:
        super().__init__(message, reason=reason, hint=hint)
        self.status = status


class _Refusal(msgspec.Struct):
    """An error of step's API (`status`, `message`) or of ours (RFC 9457)."""

    message: str = ""
    detail: str = ""
    title: str = ""
    reason: str = ""
    hint: str = ""


def trusting(roots: Sequence[x509.Certificate], tls: TlsFiles | None = None) -> ssl.SSLContext:
    """TLS with who proves by one of `roots` to be whom we call; with `tls` we prove who we are.

    Raises `MeshError` where the files do not fit together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # what step-ca serves
    context.load_verify_locations(cadata=pem(*roots))
    if tls is not None:
        try:
            context.load_cert_chain(tls.cert, tls.key)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise MeshError(f"cannot use the certificate {tls.cert}: {error}.") from error
    return context


def anybody() -> ssl.SSLContext:
    """TLS with whoever answers: for what is checked by its hash, and for what is not believed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def call(
    method: str,
    url: str,
    kind: type[T],
    *,
    trust: ssl.SSLContext,
    now: datetime,
    body: object = None,
    bearer: str = "",
) -> T:
    """The answer of one request as `kind`; `None` for one without content.

    Raises `Unreachable` where nothing answers or the server is busy, `Refused`, and `MeshError` with the reasons
    `untrusted` (the server does not prove to be whom we call), `wrong_clock` and `bad_answer`.
    """
    response, data = _send(method, url, trust=trust, now=now, body=body, bearer=bearer)
    if not response.is_success:
        raise _refusal(response, data, now)
    try:
        return msgspec.json.decode(data or b"null", type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MeshError(
            f"{url} answered something this version does not read: {error}.", reason="bad_answer"
        ) from error


def _send(
    method: str, url: str, *, trust: ssl.SSLContext, now: datetime, body: object, bearer: str
) -> tuple[httpx.Response, bytes]:
    headers = {"user-agent": f"spectra-node/{__version__}", "accept": "application/json"}
    if bearer:
        headers["authorization"] = f"Bearer {bearer}"
    content = None if body is None else msgspec.json.encode(body)
    if content is not None:
        headers["content-type"] = "application/json"
    try:
        with (
            httpx.Client(verify=trust, timeout=_TIMEOUT, trust_env=not _is_loopback(url)) as client,
            client.stream(method, url, content=content, headers=headers) as response,
        ):
            return response, _read(response)
    except httpx.InvalidURL as error:
        raise MeshError(f"{url[:200]!r} is not a URL: {_plain(str(error))}.") from error
    except httpx.RequestError as error:
        raise _failure(error, url, now) from error


def _read(response: httpx.Response) -> bytes:
    data = bytearray()
    deadline = time.monotonic() + _WHOLE_S
    for chunk in response.iter_bytes():
        data += chunk
        if time.monotonic() > deadline:
            raise Unreachable(f"the answer of {response.request.url.host} takes too long")
        if len(data) > MAX_ANSWER_BYTES:
            raise MeshError(f"the answer of {response.request.url} is too large.", reason="bad_answer")
    return bytes(data)


def _refusal(response: httpx.Response, data: bytes, now: datetime) -> MeshError:
    try:
        said = msgspec.json.decode(data, type=_Refusal)
    except (msgspec.DecodeError, RecursionError):  # not ours: a proxy's page, another server
        said = _Refusal()
    host, status = response.request.url.host, response.status_code
    message = _plain(said.detail or said.message or said.title) or f"it answered {status} {response.reason_phrase}"
    if status in _BUSY:
        return Unreachable(f"{host} is busy: {message}")
    skew = _skew(response, now)
    if (said.reason in _OF_TIME or (status == 401 and not said.reason)) and abs(skew) > MAX_SKEW_S:
        return wrong_clock(host, skew)
    return Refused(f"{host} refuses: {message}", reason=said.reason or None, hint=_plain(said.hint), status=status)


def _failure(error: httpx.RequestError, url: str, now: datetime) -> MeshError:
    """What a request without an answer failed at: the server's certificate, or the way there."""
    host = httpx.URL(url).host or url
    flaw = _certificate_flaw(error)
    if flaw is None:
        return Unreachable(f"no answer from {host}: {_plain(str(error)) or type(error).__name__}")
    if flaw.verify_code in (_NOT_YET, _EXPIRED):
        skew = _asked_skew(url, now)
        if abs(skew) > MAX_SKEW_S:
            return wrong_clock(host, skew)
    return MeshError(
        f"{host} does not prove to belong to the mesh: {flaw.verify_message}.",
        reason="untrusted",
        hint="Is it the right address, and was the CA replaced? A new join token pins the new one.",
    )


def _certificate_flaw(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Where the server's certificate was refused, what OpenSSL said; the HTTP library wraps it twice."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None or isinstance(seen, ssl.SSLCertVerificationError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _asked_skew(url: str, now: datetime) -> float:
    """How far our clock is ahead of the server's, asked without trust; 0 where it does not say."""
    try:
        response, _ = _send("GET", str(httpx.URL(url).join("/health")), trust=anybody(), now=now, body=None, bearer="")
    except MeshError:
        return 0.0
    return _skew(response, now)


def _skew(response: httpx.Response, now: datetime) -> float:
    try:
        there = parsedate_to_datetime(response.headers.get("date", ""))
    except (ValueError, TypeError):
        return 0.0
    return (now - (there if there.tzinfo else there.replace(tzinfo=UTC))).total_seconds()


def wrong_clock(host: str, skew_s: float) -> MeshError:
    """This machine's clock and the server's are so far apart that nothing holds."""
    minutes = abs(skew_s) / 60
    length = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    way = "ahead of" if skew_s > 0 else "behind"
    return MeshError(
        f"this machine's clock is {length} {way} that of {host}, so neither believes the other.",
        reason="wrong_clock",
        hint="Set the clock (date, timedatectl set-ntp true), then try again; the join token stays good.",
    )


def _is_loopback(url: str) -> bool:
    """No proxy comes between us and this machine."""
    host = httpx.URL(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _plain(text: str) -> str:
    """What a stranger said, cut and without control characters."""
    return "".join(c if c.isprintable() else " " for c in text[:_MAX_TOLD]).strip().rstrip(".")
