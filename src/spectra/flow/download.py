"""Fetching a feed over HTTP: bounded in size and time, and never from a place that only this machine can reach.

Whoever may name a URL could otherwise read what is behind the coordinator's firewall (server-side request forgery): a
name is resolved here, every address is checked, and the connection goes to the very address that was checked. So does
each redirect's.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from http import HTTPStatus
from typing import BinaryIO, Final, NamedTuple

import httpx

from spectra import __version__
from spectra.errors import BadRequest, SpectraError
from spectra.store.feeds import Validators

_MAX_REDIRECTS: Final = 5
_MAX_ADDRESSES: Final = 4  # of one name that are tried
_TIMEOUT: Final = httpx.Timeout(connect=10.0, read=30.0, write=10.0, pool=10.0)
_CHUNK: Final = 256 * 1024
NONE: Final[Mapping[str, str]] = {}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class FetchError(SpectraError):
    """A source that does not give its feed: away, refusing, too large, too slow, or not where it may be fetched from.

    `reason` is `feed_fetch_failed`, `feed_too_large` or `feed_url_refused`; `status` is what the server answered, 0
    where it did not.
    """

    reason = "feed_fetch_failed"

    def __init__(self, message: str, *, reason: str | None = None, hint: str = "", status: int = 0) -> None:
        super().__init__(message, reason=reason, hint=hint)
        self.status = status


class Bounds(NamedTuple):
    """What a download may cost, and `allow`: networks besides the public Internet that feeds may come from.

    Plain http is spoken only to addresses in `allow`.
    """

    max_bytes: int
    timeout_s: float
    allow: tuple[Network, ...] = ()


def fetch(
    url: str,
    to: BinaryIO,
    bounds: Bounds,
    *,
    known: Validators = Validators(),  # noqa: B008 - immutable
    stopped: Callable[[], bool] = lambda: False,
    headers: Mapping[str, str] = NONE,
) -> Validators | None:
    """Write what `url` has into `to`; returns its validators, or None where the server says that `known` still holds.

    Raises `FetchError`, or `BadRequest` for what is no such URL. `stopped` ends it early. `headers` may be secret: they
    do not travel along with a redirect.
    """
    deadline = time.monotonic() + bounds.timeout_s
    target = checked_url(url)
    with httpx.Client(trust_env=False, timeout=_TIMEOUT, follow_redirects=False) as client:
        for _ in range(_MAX_REDIRECTS + 1):
            with closing(_answer(client, target, bounds, known, headers)) as response:
                if response.status_code == HTTPStatus.NOT_MODIFIED:
                    return None
                if response.has_redirect_location:
                    target, headers = _next(target, response), NONE
                    continue
                if response.status_code != HTTPStatus.OK:
                    raise FetchError(
                        f"{target.host} answered {response.status_code} {response.reason_phrase}.",
                        status=response.status_code,
                    )
                _save(response, to, bounds, deadline, stopped)
                headers = response.headers
                return Validators(headers.get("etag", "")[:500], headers.get("last-modified", "")[:100])
    raise FetchError(f"{target.host} redirects more than {_MAX_REDIRECTS} times.")


def checked_url(url: str) -> httpx.URL:
    """`url` if it is http or https and names a host; raises `BadRequest`."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError):
        parsed = httpx.URL()
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise BadRequest("This is not the URL of a file.", field="url", hint="Write it as https://host/path.")
    return parsed


def _next(here: httpx.URL, response: httpx.Response) -> httpx.URL:
    """Where a redirect leads: from https nowhere but to https. Users and passwords do not travel along."""
    there = here.join(response.headers["location"]).copy_with(username=None, password=None)
    if there.scheme != "https" and (here.scheme == "https" or there.scheme != "http"):
        raise FetchError(f"{here.host} redirects to {there.scheme or 'nothing'}: only https is followed.")
    return there


def _answer(
    client: httpx.Client, url: httpx.URL, bounds: Bounds, known: Validators, headers: Mapping[str, str]
) -> httpx.Response:
    """The beginning of the server's answer, from the first of its addresses that can be reached."""
    failure = FetchError(f"{url.host} has no address.")
    for address in _addresses(url, bounds.allow)[:_MAX_ADDRESSES]:
        request = client.build_request(
            "GET",
            # To the address that was checked: the name may mean another one a moment later.
            url.copy_with(host=address, username=None, password=None, fragment=None),
            headers={**headers, **_headers(url, known)},
            extensions={"sni_hostname": _host(url)},  # the certificate has to be the name's
        )
        auth = httpx.BasicAuth(url.username, url.password) if url.username else None
        try:
            return client.send(request, stream=True, auth=auth)
        except httpx.HTTPError as error:
            failure = FetchError(f"{url.host} cannot be reached: {_said(error)}.")
    raise failure


def _headers(url: httpx.URL, known: Validators) -> dict[str, str]:
    headers = {
        "host": url.netloc.decode("ascii"),
        "user-agent": f"spectra/{__version__}",
        "accept-encoding": "identity",  # feeds are packed already, and what is unpacked here is bounded elsewhere
    }
    if known.etag:
        headers["if-none-match"] = known.etag
    if known.modified:
        headers["if-modified-since"] = known.modified
    return headers


def _addresses(url: httpx.URL, allow: Sequence[Network]) -> list[str]:
    """The addresses of the URL's host that a feed may come from; raises `FetchError` where there is none."""
    try:
        found = socket.getaddrinfo(_host(url), url.port or url.scheme, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError(f"{url.host} has no address: {error}.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
    allowed = [a for a in addresses if any(_within(a, net) for net in allow)]
    good = allowed if url.scheme == "http" else [a for a in addresses if a in allowed or _is_public(a)]
    if not good:
        plain = "plain http is not fetched" if url.scheme == "http" else "it is no address of the public Internet"
        raise FetchError(
            f"{url.host} is {', '.join(addresses[:_MAX_ADDRESSES])}: {plain}.",
            reason="feed_url_refused",
            hint="Use https, or allow its network with SPECTRA_FEEDS__ALLOW.",
        )
    return good


def _host(url: httpx.URL) -> str:
    """The host in the form that DNS and certificates know."""
    return url.raw_host.decode("ascii")


def _within(address: str, network: Network) -> bool:
    one = _unmapped(address)
    return one.version == network.version and one in network


def _is_public(address: str) -> bool:
    one = _unmapped(address)
    return one.is_global and not one.is_multicast


def _unmapped(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """What is really connected to: `::ffff:127.0.0.1`, 6to4 and NAT64 stand for an IPv4 address."""
    one = ipaddress.ip_address(address)
    if isinstance(one, ipaddress.IPv6Address):
        if one in _NAT64:
            return ipaddress.IPv4Address(int(one) & 0xFFFF_FFFF)
        return one.ipv4_mapped or one.sixtofour or one
    return one


_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052


def _save(response: httpx.Response, to: BinaryIO, bounds: Bounds, deadline: float, stopped: Callable[[], bool]) -> None:
    size = 0
    claimed = response.headers.get("content-length", "")
    if claimed.isdecimal() and int(claimed) > bounds.max_bytes:
        raise _too_large(bounds)
    try:
        for chunk in response.iter_raw(_CHUNK):
            size += len(chunk)
            if size > bounds.max_bytes:
                raise _too_large(bounds)
            if stopped() or time.monotonic() > deadline:
                raise FetchError(f"It did not arrive within {bounds.timeout_s:g} s ({size} bytes did).")
            to.write(chunk)
    except httpx.HTTPError as error:
        raise FetchError(f"The connection broke after {size} bytes: {_said(error)}.") from error
    to.flush()


def _too_large(bounds: Bounds) -> FetchError:
    return FetchError(
        f"It is larger than {bounds.max_bytes} bytes.",
        reason="feed_too_large",
        hint="Raise SPECTRA_FEEDS__MAX_BYTES.",
    )


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")
