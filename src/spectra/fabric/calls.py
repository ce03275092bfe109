"""HTTPS to the CA and to the coordinator, as a machine of the mesh speaks it: bounded answers, typed refusals.

A machine with a wrong clock refuses good certificates and sends statements from the past. Each answer carries the
server's time (`Date`, RFC 9110 section 6.6.1), so what fails for that reason can say so. That time is used for the
message alone: whoever sends it may lie.

The standard library's client does: a larger one would cost an agent a quarter of its memory.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from typing import BinaryIO, Final, NamedTuple, TypeVar
from urllib.parse import SplitResult, urlsplit

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
_CONNECT_S: Final = 10.0  # for TCP, and again for TLS
_READ_S: Final = 30.0
_OF_TIME: Final = frozenset(
    {"token_expired", "expired", "from_the_future", "not_yet", "certificate_expired", "certificate_not_yet"}
)
_BUSY: Final = frozenset({429, 502, 503, 504})
# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (openssl/x509_vfy.h).
_NOT_YET, _EXPIRED = 9, 10
_MAX_TOLD: Final = 300

T = TypeVar("T")


class Upload(NamedTuple):
    """A body of JSON that is sent from a file, `size` bytes from where it stands."""

    file: BinaryIO
    size: int


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
    most: int = MAX_ANSWER_BYTES,
) -> T:
    """The answer of one request as `kind`; `None` for one without content. `most`: bytes that it may have.

    Raises `Unreachable` where nothing answers or the server is busy, `Refused`, and `MeshError` with the reasons
    `untrusted` (the server does not prove to be whom we call), `wrong_clock` and `bad_answer`.
    """
    answer = _send(method, _parts(url), trust=trust, now=now, body=body, bearer=bearer, most=most)
    if not 200 <= answer.status < 300:
        raise _refusal(answer, now)
    try:
        return msgspec.json.decode(answer.data or b"null", type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MeshError(
            f"{url} answered something this version does not read: {error}.", reason="bad_answer"
        ) from error


class _Answer(NamedTuple):
    host: str
    status: int
    phrase: str
    date: str
    data: bytes


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and url.isascii()
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise MeshError(f"{url[:200]!r} is not the https URL of a mesh.")
    return urlsplit(url)


def _send(
    method: str,
    url: SplitResult,
    *,
    trust: ssl.SSLContext,
    now: datetime,
    body: object = None,
    bearer: str = "",
    most: int = MAX_ANSWER_BYTES,
) -> _Answer:
    """One request on a connection of its own; redirects are not followed, proxies not asked."""
    host = url.hostname or ""
    headers = {"user-agent": f"spectra-node/{__version__}", "accept": "application/json", "connection": "close"}
    if bearer:
        headers["authorization"] = f"Bearer {bearer}"
    content = body.file if isinstance(body, Upload) else None if body is None else msgspec.json.encode(body)
    if content is not None:
        headers["content-type"] = "application/json"
    if isinstance(body, Upload):
        headers["content-length"] = str(body.size)
    connection = HTTPSConnection(host, url.port or 443, timeout=_CONNECT_S, context=trust)
    try:
        connection.connect()
        connection.sock.settimeout(_READ_S)
        connection.request(method, url.path or "/", body=content, headers=headers)
        response = connection.getresponse()
        data = _read(response, host, most)
        return _Answer(host, response.status, response.reason, response.headers.get("date", ""), data)
    except (OSError, HTTPException, UnicodeError) as error:  # SSLError is an OSError
        raise _failure(error, url, now) from error
    finally:
        connection.close()


def _read(response: HTTPResponse, host: str, most: int) -> bytes:
    data = bytearray()
    deadline = time.monotonic() + _WHOLE_S
    while chunk := response.read1(64 * 1024):
        data += chunk
        if time.monotonic() > deadline:
            raise Unreachable(f"the answer of {host} takes too long")
        if len(data) > most:
            raise MeshError(f"the answer of {host} is too large.", reason="bad_answer")
    return bytes(data)


def _refusal(answer: _Answer, now: datetime) -> MeshError:
    try:
        said = msgspec.json.decode(answer.data, type=_Refusal)
    except (msgspec.DecodeError, RecursionError):  # not ours: a proxy's page, another server
        said = _Refusal()
    host, status = answer.host, answer.status
    message = _plain(said.detail or said.message or said.title) or f"it answered {status} {_plain(answer.phrase)}"
    if status in _BUSY:
        return Unreachable(f"{host} is busy: {message}")
    skew = _skew(answer.date, now)
    if (said.reason in _OF_TIME or (status == 401 and not said.reason)) and abs(skew) > MAX_SKEW_S:
        return wrong_clock(host, skew)
    return Refused(f"{host} refuses: {message}", reason=said.reason or None, hint=_plain(said.hint), status=status)


def _failure(error: Exception, url: SplitResult, now: datetime) -> MeshError:
    """What a request without an answer failed at: the server's certificate, or the way there."""
    host = url.hostname or ""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(f"no answer from {host}: {_plain(str(error)) or type(error).__name__}")
    if error.verify_code in (_NOT_YET, _EXPIRED):
        skew = _asked_skew(url, now)
        if abs(skew) > MAX_SKEW_S:
            return wrong_clock(host, skew)
    return MeshError(
        f"{host} does not prove to belong to the mesh: {error.verify_message}.",
        reason="untrusted",
        hint="Is it the right address, and was the CA replaced? A new join token pins the new one.",
    )


def _asked_skew(url: SplitResult, now: datetime) -> float:
    """How far our clock is ahead of the server's, asked without trust; 0 where it does not say."""
    try:
        return _skew(_send("GET", url._replace(path="/health"), trust=anybody(), now=now).date, now)
    except MeshError:
        return 0.0


def _skew(date: str, now: datetime) -> float:
    try:
        there = parsedate_to_datetime(date)
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


def _plain(text: str) -> str:
    """What a stranger said, cut and without control characters."""
    return "".join(c if c.isprintable() else " " for c in text[:_MAX_TOLD]).strip().rstrip(".")
