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
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from fastapi import Request
from starlette.responses import Response

from spectra.api.auth import Caller
from spectra.api.cookies import BROWSER, digest, drop_cookie, new_secret, origin_of, put_cookie, secret_cookie
from spectra.api.issuing import held_by
from spectra.api.problems import Forbidden
from spectra.api.services import Services
from spectra.api.signin import Source
from spectra.store import sessions
from spectra.store.accounts import Act
from spectra.store.sessions import Cookie, NewSession

CLIENT: Final = "browser"
NAME: Final = "spectra"
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
    secret, known = new_secret(), secret_cookie(request, BROWSER) or new_secret()
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
    secret = secret_cookie(request, NAME)
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
