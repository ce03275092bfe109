"""The bounded fetch: https from listed hosts at public addresses, by the configured way out, each request on record.

What it brings was written by others. It is bounded in size and time and of a few types; nothing in it is run, rendered
or followed but a redirect to a listed host.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, NamedTuple, Protocol

import httpx

from spectra import __version__
from spectra.errors import SpectraError
from spectra.model.insights import Source

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_REDIRECTS: Final = 3
MAX_URL: Final = 1000
TYPES: Final = frozenset({"application/json", "text/html", "text/plain", "application/xhtml+xml"})
_CHUNK: Final = 64 * 1024
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class FetchRefused(SpectraError):
    """What may not be fetched, or did not come as it has to. `reason`: `fetch_off`, `fetch_refused` (its URL, or where
    it leads), `fetch_failed`, `fetch_too_large`, `fetch_too_slow`, `fetch_type`.
    """

    reason = "fetch_failed"


class Page(NamedTuple):
    """What a URL had; `url` is where it was in the end."""

    url: str
    body: bytes
    media_type: str
    sha256: str
    fetched_at: datetime

    @property
    def source(self) -> Source:
        """How an insight names it."""
        return Source(self.url, self.sha256, self.fetched_at, len(self.body), self.media_type)

    @property
    def record(self) -> str:
        """Its record id."""
        return f"page:{self.sha256}"


class Opened(Protocol):
    """Makes a client of the way out, which connects to addresses that are `allowed` alone."""

    def __call__(
        self, timeout_s: float, *, allowed: Callable[[Address], bool], verify: ssl.SSLContext
    ) -> httpx.Client: ...


class Fetcher:
    """Fetches pages. Thread-safe; holds no connection between calls.

    `hosts` are names, or `name:port`; `allow` networks besides public ones that they may be at. `leaving` puts on
    record that a request (its account, host, and what is sent) is about to leave: nothing is sent where it raises.
    """

    def __init__(
        self,
        opened: Opened,
        leaving: Callable[[str, str, bytes], None],
        *,
        hosts: Sequence[str],
        on: bool,
        allow: Sequence[Network] = (),
        clock: Callable[[], datetime],
        within_s: float = 15.0,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._opened = opened
        self._leaving = leaving
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)
        self._allow = tuple(allow)
        self._clock = clock
        self._within_s = within_s
        self._verify = verify
        self.on = on

    def require_on(self) -> None:
        """Raises `FetchRefused` where nothing may be looked up at all."""
        if not self.on:
            raise FetchRefused(
                "Nothing is looked up here.", reason="fetch_off", hint="Allow it with SPECTRA_AI__FETCH=true."
            )

    def allows(self, url: str) -> bool:
        """Whether `url` is one that may be fetched, as far as can be said without resolving its name."""
        try:
            self._checked(url)
        except FetchRefused:
            return False
        return True

    def get(self, url: str, account: str) -> Page:
        """The page at `url`, fetched for `account`. Raises `FetchRefused`."""
        self.require_on()
        ends = time.monotonic() + self._within_s
        target = self._checked(url)
        for _ in range(MAX_REDIRECTS + 1):
            found = self._hop(target, account, ends)
            if isinstance(found, Page):
                return found
            target = self._checked(found)
        raise FetchRefused(f"{target.host} redirects more than {MAX_REDIRECTS} times.")

    def _checked(self, url: str) -> httpx.URL:
        if len(url) > MAX_URL or not url.isascii() or not url.isprintable():
            raise _refused("it is too long, or not written as URLs are")
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, ValueError) as error:
            raise _refused("it is no URL") from error
        if parsed.scheme != "https" or parsed.userinfo:
            raise _refused("only https without a user is fetched")
        host = parsed.host.lower().rstrip(".")
        if not {host if parsed.port is None else f"{host}:{parsed.port}"} & self._hosts:
            raise _refused(f"its host {host[:80]} is not among ai.fetch_hosts")
        return parsed.copy_with(fragment=None)

    def _hop(self, target: httpx.URL, account: str, ends: float) -> Page | str:
        """The page, or the URL that the server redirects to."""
        left = ends - time.monotonic()
        if left <= 0:
            raise _too_slow(self._within_s)
        verify = self._verify = self._verify or _trusted()
        try:
            with self._opened(min(left, 10.0), allowed=self._may, verify=verify) as client, _until(ends, client.close):
                self._leaving(account, target.host, b"GET " + target.raw_path)
                request = client.build_request("GET", target, headers=_HEADERS)
                with closing(client.send(request, stream=True)) as response:
                    if response.has_redirect_location:
                        return str(target.join(response.headers["location"]))
                    return self._read(target, response, ends)
        except httpx.TimeoutException as error:
            raise _too_slow(self._within_s) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            if time.monotonic() >= ends:
                raise _too_slow(self._within_s) from error
            said = (str(error) or type(error).__name__).rstrip(".")[:200]
            raise FetchRefused(f"{target.host} cannot be reached: {said}.") from error

    def _read(self, target: httpx.URL, response: httpx.Response, ends: float) -> Page:
        if response.status_code != HTTPStatus.OK:
            raise FetchRefused(f"{target.host} answered {response.status_code}.")
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in TYPES or response.headers.get("content-encoding", "identity") != "identity":
            raise FetchRefused(f"{target.host} answered with {media_type[:60] or 'no type'}.", reason="fetch_type")
        claimed = response.headers.get("content-length", "")
        if claimed.isdecimal() and int(claimed) > MAX_BYTES:
            raise _too_large(target.host)
        body = bytearray()
        for chunk in response.iter_raw(_CHUNK):
            body += chunk
            if len(body) > MAX_BYTES:
                raise _too_large(target.host)
            if time.monotonic() > ends:
                raise _too_slow(self._within_s)
        digest = hashlib.sha256(body).hexdigest()
        return Page(str(target), bytes(body), media_type, digest, self._clock())

    def _may(self, address: Address) -> bool:
        """Whether an address may be connected to: public, or of a network that the settings allow."""
        one = unmapped(address)
        if any(one.version == net.version and one in net for net in self._allow):
            return True
        return one.is_global and not one.is_multicast


_HEADERS: Final = {
    "user-agent": f"spectra/{__version__}",
    "accept": "application/json, text/html;q=0.8, text/plain;q=0.5",
    "accept-encoding": "identity",  # what is unpacked would have to be bounded once more
}


@contextmanager
def _until(ends: float, close: Callable[[], None]) -> Generator[None]:
    """Closes what is read from when the time is up: a server that says a little now and then is not waited for."""
    timer = threading.Timer(max(ends - time.monotonic(), 0.0), close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def unmapped(address: Address) -> Address:
    """What is really connected to: `::ffff:127.0.0.1`, 6to4 and NAT64 stand for an IPv4 address."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _trusted() -> ssl.SSLContext:
    """The roots that this system trusts, and those of certifi."""
    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def _refused(why: str) -> FetchRefused:
    return FetchRefused(f"This URL is not fetched: {why}.", reason="fetch_refused")


def _too_large(host: str) -> FetchRefused:
    return FetchRefused(f"{host} has more than {MAX_BYTES} bytes.", reason="fetch_too_large")


def _too_slow(within_s: float) -> FetchRefused:
    return FetchRefused(f"It did not arrive within {within_s:g} s.", reason="fetch_too_slow")
