"""Cookies that no script reads and no other site sends, and the origin that a browser sees us at."""

from __future__ import annotations

import hashlib
import secrets
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import Response

from spectra.api.auth import services_of
from spectra.model.limits import Nets, plain

BROWSER: Final = "spectra-browser"
"""The cookie that tells a browser from others."""
_SECRET_BYTES: Final = 32
_SECRET_CHARS: Final = 43  # in URL-safe base64 without padding


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


def by_name(url: str) -> str:
    """A URL of this machine by its name: passkeys are bound to one, and cookies of the address are not the name's."""
    return url.replace("//127.0.0.1:", "//localhost:")


def known_browser(request: Request) -> bytes:
    """The SHA-256 that this browser is remembered by; empty for one that never signed in."""
    secret = secret_cookie(request, BROWSER) if "cookie" in request.headers else ""
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
    value = request.cookies.get(_full_name(name, secure=_is_secure(request)), "")
    return value if len(value) == _SECRET_CHARS and value.isascii() else ""


def _full_name(name: str, *, secure: bool) -> str:
    return f"__Host-{name}" if secure else name


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
