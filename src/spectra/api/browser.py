"""Browsers that are signed in: the cookie of a session, and proof that a form was sent by a page of ours.

The cookie holds 32 random bytes and the database their SHA-256, so that a session is revoked, listed and ended like
any other. Every sign-in makes a new secret (nobody can plant one, CWE-384) and ends the session that the browser had.
A second cookie tells this browser from others of the same network, so that those who guess at an account's password,
over Tor say, cannot keep out whoever signed in to it here before.

A form is ours where it brings back a token that only a page of ours could show (an HMAC of the cookie's secret, under
a mask that is new each time: pages are compressed, CVE-2013-3587), and where the browser says that it comes from here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import Response

from spectra.api.auth import Caller, services_of
from spectra.api.grants import Source
from spectra.api.issuing import held_by
from spectra.api.problems import Forbidden
from spectra.api.services import Services
from spectra.model.limits import Nets, plain
from spectra.store import sessions
from spectra.store.accounts import Act
from spectra.store.sessions import Cookie, NewSession

CLIENT: Final = "browser"
NAME: Final = "spectra"
BROWSER: Final = "spectra-browser"
_SECRET_BYTES: Final = 32
_SECRET_CHARS: Final = 43  # in URL-safe base64 without padding
_BROWSER_KEPT_S: Final = int(sessions.KNOWN_FOR.total_seconds())

Setter = Callable[[Response], None]
"""Puts cookies on an answer."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in by the browser that a request comes from."""

    caller: Caller
    session: str
    account: str
    secret: str = field(repr=False)

    @property
    def csrf(self) -> str:
        """What a form has to bring back: another text each time it is asked for."""
        return _masked(_csrf(self.secret))


def begin(request: Request, services: Services, account: str, *, grant: str) -> Setter:
    """Sign `account` in, which has proved who it is by `grant`; what sets the cookies of the answer.

    The session that the browser had ends.
    """
    now = services.clock()
    secret, known = new_secret(), _cookie(request, BROWSER) or new_secret()
    if (before := visitor(request, services)) is not None:
        sessions.revoke(services.database, before.session, Act(before.account, now))
    source = Source.of(request).address
    expires = now + timedelta(seconds=min(services.web.idle_s, services.web.session_ttl_s))
    new = NewSession(account, CLIENT, grant, None, "", source, expires)
    sessions.begin_browser(services.database, new, Cookie(digest(secret), digest(known)), now)

    def put(response: Response) -> None:
        put_cookie(request, response, NAME, secret, services.web.session_ttl_s)
        put_cookie(request, response, BROWSER, known, _BROWSER_KEPT_S)

    return put


def visitor(request: Request, services: Services) -> Visitor | None:
    """Who is signed in by the cookie of a request; None where nobody is any more. One query."""
    secret = _cookie(request, NAME)
    if not secret:
        return None
    found = sessions.of_cookie(
        services.database,
        digest(secret),
        services.clock(),
        idle=timedelta(seconds=services.web.idle_s),
        total=timedelta(seconds=services.web.session_ttl_s),
    )
    if found is None:
        return None
    caller = Caller(found.contributor, found.role, held_by(found), found.id)
    return Visitor(caller, found.id, found.contributor, secret)


def end(request: Request, services: Services, who: Visitor | None) -> Setter:
    """Sign out; what takes the cookie from the browser. Where nobody was signed in, that alone."""
    if who is not None:
        sessions.revoke(services.database, who.session, Act(who.account, services.clock()))

    def put(response: Response) -> None:
        drop_cookie(request, response, NAME)

    return put


def check_csrf(request: Request, who: Visitor | None, token: str) -> None:
    """Raises `Forbidden` unless a page of ours sent this form.

    Where nobody is signed in there is no token to show, and the browser's word alone has to do: every one of this
    decade gives it. What gives none (a program) carries no cookie that somebody else could have it send.
    """
    if _comes_from_elsewhere(request) or (who is not None and not _is_ours(who.secret, token)):
        raise Forbidden(
            "This form was not sent by a page of this dashboard, or that page is too old.",
            reason="forbidden",
            hint="Open the page again, and send it from there.",
        )


# What others build on ------------------------------------------------------------------------------------------------


def new_secret() -> str:
    """32 random bytes in URL-safe base64."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def digest(secret: str) -> bytes:
    """SHA-256 of a secret, which is what the database keeps. No salt: it has 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def origin_of(request: Request) -> str:
    """`scheme://host[:port]` of ours, as the browser that asks sees it, in lower case."""
    host = request.headers.get("host", "").lower()
    ours = services_of(request).web.origin
    if ours and urlsplit(ours).netloc == host:
        return ours  # whoever ends TLS for us
    return f"{_scheme(request)}://{host}"


def known_browser(request: Request) -> bytes:
    """The SHA-256 that this browser is remembered by; empty for one that never signed in."""
    secret = _cookie(request, BROWSER)
    return digest(secret) if secret else b""


def put_cookie(request: Request, response: Response, name: str, value: str, max_age_s: int) -> None:
    """Set a cookie that no script can read and no other site's form brings along.

    `Lax` and not `Strict`: a link in a message has to lead to its page, not to the sign-in. Over https its name
    begins with `__Host-`, so that no other host of the domain can set it.
    """
    secure = _is_secure(request)
    response.set_cookie(
        _full_name(name, secure=secure),
        value,
        max_age=max_age_s,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def drop_cookie(request: Request, response: Response, name: str) -> None:
    """Take a cookie of `put_cookie` away."""
    secure = _is_secure(request)
    response.delete_cookie(_full_name(name, secure=secure), path="/", secure=secure, httponly=True, samesite="lax")


def secret_cookie(request: Request, name: str) -> str:
    """The secret in a cookie of `put_cookie`; empty where there is none, or none that we could have set."""
    return _cookie(request, name)


# Cookies -------------------------------------------------------------------------------------------------------------


def _full_name(name: str, *, secure: bool) -> str:
    return f"__Host-{name}" if secure else name


def _cookie(request: Request, name: str) -> str:
    value = request.cookies.get(_full_name(name, secure=_is_secure(request)), "")
    return value if len(value) == _SECRET_CHARS and value.isascii() else ""


def _is_secure(request: Request) -> bool:
    return origin_of(request).startswith("https://")


def _scheme(request: Request) -> str:
    """A proxy that we trust says how browsers reach it."""
    said = request.headers.get("x-forwarded-proto", "").lower()
    return said if said in ("http", "https") and _by_proxy(request) else request.url.scheme


def _by_proxy(request: Request) -> bool:
    trusted = services_of(request).trusted_proxies
    if not trusted or request.client is None:
        return False
    try:
        return plain(ip_address(request.client.host)) in Nets(map(str, trusted))
    except ValueError:
        return False


# Forms ---------------------------------------------------------------------------------------------------------------


def _comes_from_elsewhere(request: Request) -> bool:
    """By Fetch Metadata where the browser sends that, else by `Origin`. `none` is a person's own doing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and origin.lower() != origin_of(request)


def _csrf(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"spectra form", "sha256")


def _masked(token: bytes) -> str:
    mask = secrets.token_bytes(len(token))
    return base64.urlsafe_b64encode(mask + _xor(mask, token)).decode().rstrip("=")


def _is_ours(secret: str, shown: str) -> bool:
    expected = _csrf(secret)
    try:
        raw = base64.b64decode(shown + "=" * (-len(shown) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return False
    size = len(expected)
    return len(raw) == 2 * size and hmac.compare_digest(_xor(raw[:size], raw[size:]), expected)


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
