"""Webhooks, signed as Standard Webhooks says (https://www.standardwebhooks.com): what is received can be checked to
come from this node, unaltered and of now.

The name is resolved here and the connection goes to the address that was looked at: link-local addresses, where clouds
tell machines their credentials, are never called. Others may be: receivers are often in one's own network, and only
who may change outlets says where they are. Nothing of an answer but its status is shown, and no redirect is followed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from spectra import __version__
from spectra.act.notify.outlets import OutletError
from spectra.act.notify.text import headline, link, plain
from spectra.model.alerts import Message
from spectra.store.outlets import SECRET_PREFIX, Outlet

_MAX_ADDRESSES: Final = 3
_GONE: Final = 410


class Webhook:
    """Sends by HTTP POST. `clock` is what signatures are dated by: receivers refuse what is minutes old."""

    def __init__(
        self,
        *,
        origin: str = "",
        timeout_s: float = 20.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._origin = origin
        self._timeout_s = timeout_s
        self._clock = clock
        self._tls = tls

    def lacks(self) -> str:
        """Nothing: a webhook needs no settings."""
        return ""

    def close(self) -> None:
        """Nothing is kept."""

    def send(self, outlet: Outlet, message: Message) -> None:
        """Post it; any 2xx is an arrival. Raises `OutletError`."""
        url = urlsplit(outlet.target)
        raw = payload(message, self._origin)
        status = self._post(url, raw, headers(message.id, self._clock(), raw, outlet.secret))
        if 200 <= status < 300:
            return
        hint = "Redirects are not followed: give the URL it leads to." if 300 <= status < 400 else ""
        hint = "Its receiver says that it is no longer there." if status == _GONE else hint
        raise OutletError(f"{url.hostname} answered {status}.", away=status in (401, 403, 429, 503), hint=hint)

    def _post(self, url: SplitResult, raw: bytes, fields: dict[str, str]) -> int:
        """The status of the answer from the first address that can be reached, all within the deadline."""
        deadline = time.monotonic() + self._timeout_s
        failure: Exception = OSError("it has no address")
        for address in _addresses(url):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            connection = self._connection(url, address, left)
            # A receiver that answers a byte a minute would be waited for each time anew.
            watch = threading.Timer(left, _cut, [connection])
            watch.daemon = True
            watch.start()
            try:
                connection.connect()
            except (OSError, ValueError) as error:
                failure = error
                watch.cancel()
                connection.close()
                continue
            try:
                return _answer(connection, url, raw, fields)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise OutletError(f"{url.hostname} did not answer: {_said(error)}.", away=True) from error
            finally:
                watch.cancel()
                connection.close()
        raise OutletError(f"{url.hostname} cannot be reached: {_said(failure)}.", away=True) from failure

    def _connection(self, url: SplitResult, address: str, timeout_s: float) -> http.client.HTTPConnection:
        port = url.port or (443 if url.scheme == "https" else 80)
        if url.scheme == "http":
            return http.client.HTTPConnection(address, port, timeout=timeout_s)
        tls = self._tls or ssl.create_default_context()
        return _Pinned(address, port, str(url.hostname), tls, timeout_s)


class _Pinned(http.client.HTTPSConnection):
    """To one address, with the certificate of a name."""

    def __init__(self, address: str, port: int, name: str, tls: ssl.SSLContext, timeout_s: float) -> None:
        super().__init__(address, port, timeout=timeout_s, context=tls)
        self._name = name
        self._tls_context = tls

    def connect(self) -> None:
        """Connect and shake hands."""
        raw = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = raw  # so that it can be cut while hands are shaken
        self.sock = self._tls_context.wrap_socket(raw, server_hostname=self._name)


def payload(message: Message, origin: str = "") -> bytes:
    """The body: `type`, `timestamp` and `data`."""
    data: dict[str, Any] = {
        "id": message.id,
        "alert": message.alert,
        "rule": message.rule,
        "told": message.told,
        "severity": message.severity,
        "title": plain(message.title),
        "text": headline(message),
        "lines": [plain(line) for line in message.lines],
        "count": message.count,
        "at": message.at,
        "url": link(message, origin),
    }
    return msgspec.json.encode({"type": f"alert.{message.told}", "timestamp": message.at, "data": data})


def headers(message_id: str, now: datetime, raw: bytes, secret: str) -> dict[str, str]:
    """The fields that a receiver checks: `v1` is HMAC-SHA256 over id, moment and body, with dots between them."""
    moment = str(int(now.timestamp()))
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = hmac.new(key, f"{message_id}.{moment}.".encode() + raw, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


def _answer(connection: http.client.HTTPConnection, url: SplitResult, raw: bytes, fields: dict[str, str]) -> int:
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
    for name, value in {
        "Host": url.netloc,
        "Content-Type": "application/json",
        "Content-Length": str(len(raw)),
        "User-Agent": f"spectra/{__version__}",
        "Connection": "close",
        **fields,
    }.items():
        connection.putheader(name, value)
    connection.endheaders(raw)
    return connection.getresponse().status


def _addresses(url: SplitResult) -> list[str]:
    host = str(url.hostname)
    try:
        found = socket.getaddrinfo(host, url.port or url.scheme, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OutletError(f"{host} has no address: {_said(error)}.", away=True) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    good = [address for address in addresses if _may_be_called(address)]
    if not good:
        raise OutletError(f"{host} is at {', '.join(addresses[:_MAX_ADDRESSES])}, where nothing is sent.", away=True)
    return good[:_MAX_ADDRESSES]


def _may_be_called(address: str) -> bool:
    one = ipaddress.ip_address(address.partition("%")[0])
    one = getattr(one, "ipv4_mapped", None) or one
    return not (one.is_link_local or one.is_multicast or one.is_unspecified or str(one) == "fd00:ec2::254")


def _cut(connection: http.client.HTTPConnection) -> None:
    raw = connection.sock
    if raw is not None:
        try:
            raw.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold, {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "it took too long"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return plain(str(text), 200)
