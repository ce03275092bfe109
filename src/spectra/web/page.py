"""A page: who looks at it, what it may ask, and how it is answered."""

from __future__ import annotations

import base64
import gzip
from functools import cache
from typing import Annotated, Any, Final, cast
from urllib.parse import urlencode

import jinja2
import msgspec
from fastapi import Depends, Request
from fastapi.params import Depends as DependsMarker
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from spectra import __version__
from spectra.api import browser
from spectra.api.auth import Caller, ServicesDep, declaring, require_scope
from spectra.errors import SpectraError
from spectra.model import spans
from spectra.web import forms, nav, statics, words
from spectra.web.forms import Form
from spectra.web.inside import Inside

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The content security policy of every page: nothing but our own files, and no script or style within a page."""
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with no-referrer, browsers send `Origin: null` with forms
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
THEMES: Final = ("auto", "light", "dark")
_TOLD: Final = "told"
_THEME: Final = "theme"
_PACK_FROM: Final = 1400
_MAX_TOLD: Final = 600


class SignInFirst(SpectraError):
    """Nobody is signed in by this browser; `path` (not quoted) and `query` are where they wanted to go."""

    reason = "unauthenticated"

    def __init__(self, path: str, query: str) -> None:
        super().__init__("Sign in first.")
        self.path = path
        self.query = query


class Visit:
    """One request of a browser. `caller` has no scopes where nobody is signed in."""

    def __init__(self, request: Request, visitor: browser.Visitor | None) -> None:
        self.request = request
        self.visitor = visitor
        self.caller = visitor.caller if visitor else Caller("", "", frozenset())
        self.api = Inside(request.app, self.caller, request.scope)
        self.cursor = 0
        """Before anything of the page was read: what happens from there on, the page may not know."""

    @property
    def csrf(self) -> str:
        """What a form of this page has to bring back; empty where nobody is signed in."""
        return self.visitor.csrf if self.visitor else ""

    def can(self, scope: str) -> bool:
        """Whether whoever looks may do what `scope` names."""
        return scope in self.caller.scopes

    async def form(self) -> Form:
        """The form that was sent; raises `Forbidden` where another site sent it."""
        form = await forms.read(self.request)
        browser.check_csrf(self.request, self.visitor, form.exact(forms.CSRF))
        return form

    async def render(self, template: str, *, title: str, at: str = "", status: int = 200, **data: Any) -> Response:
        """A page of `template`; `at` is the key of its place in the navigation."""
        return self.page(template, title=title, at=at, status=status, **data)

    def page(self, template: str, *, title: str, at: str = "", status: int = 200, **data: Any) -> Response:
        """The same where nothing can be awaited."""
        told = _read_told(self.request)
        text = environment().get_template(template).render(**self._given(title, at, told), **data)
        response = answered(self.request, text.encode(), "text/html; charset=utf-8", status=status)
        if told:
            response.delete_cookie(_TOLD, path="/")
        return response

    def go(self, path: str, told: str = "", *, bad: bool = False) -> Response:
        """Send the browser on, after a form was taken (303); `told` is said on the next page, once."""
        response = RedirectResponse(path, 303, headers=HEADERS)
        if told:
            packed = base64.urlsafe_b64encode(msgspec.json.encode((told[:_MAX_TOLD], bad))).decode()
            response.set_cookie(_TOLD, packed, max_age=60, path="/", httponly=True, samesite="lax")
        return response

    def _given(self, title: str, at: str, told: tuple[str, bool] | None) -> dict[str, Any]:
        theme = self.request.cookies.get(_THEME, "auto")
        return {
            "visit": self,
            "can": self.can,
            "title": title,
            "at": at,
            "told": told,
            "csrf": self._field,
            "once": _once,
            "navigation": nav.places(self.caller.scopes),
            "here": self.request.url.path + (f"?{self.request.url.query}" if self.request.url.query else ""),
            "cursor": self.cursor,
            "theme": theme if theme in THEMES else "auto",
        }

    def _field(self) -> Markup:
        return Markup('<input type="hidden" name="{}" value="{}">').format(forms.CSRF, self.csrf)


def _once(kept: str = "") -> Markup:
    """What a form has that makes something: sent twice, it makes one. `kept`: what it had before it came back."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(forms.ONCE, kept or forms.fresh())


def page(scope: str) -> DependsMarker:
    """A dependency of a page that only callers with `scope` may see; who is not signed in is sent to do so."""

    def check(request: Request, services: ServicesDep) -> None:
        visitor = browser.visitor(request, services)
        visit = request.state.visit = Visit(request, visitor)
        if visitor is None:
            raise SignInFirst(request.scope["path"], request.url.query)
        request.state.caller = visitor.caller
        require_scope(visitor.caller, scope)
        if request.method == "GET" and services.stream is not None:
            visit.cursor = services.stream.newest()

    return declaring(check, scope)


def anybody(scope: str) -> DependsMarker:
    """A dependency of a page that is open to all (`PUBLIC`, `SIGN_IN`), with whoever is signed in known to it."""

    def check(request: Request, services: ServicesDep) -> None:
        request.state.visit = Visit(request, browser.visitor(request, services))

    return declaring(check, scope)


def visit_of(request: Request) -> Visit:
    """The visit that this request's `page` let through; of nobody where none did."""
    return getattr(request.state, "visit", None) or Visit(request, None)


VisitDep = Annotated[Visit, Depends(visit_of)]


def query(**parts: Any) -> str:
    """`?a=b&c=d` of what is not empty, or nothing."""
    kept = [(name, value) for name, value in parts.items() if value not in (None, "", False)]
    return f"?{urlencode(kept, doseq=True)}" if kept else ""


def answered(request: Request, raw: bytes, media_type: str, *, status: int = 200) -> Response:
    """An answer with the headers of every page, gzipped where that helps and the browser takes it."""
    headers = dict(HEADERS)
    if len(raw) >= _PACK_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        raw = gzip.compress(raw, 5, mtime=0)
        headers |= {"content-encoding": "gzip", "vary": "accept-encoding"}
    return Response(raw, status_code=status, headers=headers, media_type=media_type)


@cache
def environment() -> jinja2.Environment:
    """The templates. Everything is escaped, and what is not there is a fault."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("spectra.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in ("ago", "when", "number", "size", "share", "severity", "state", "segment", "lines"):
        made.filters[name] = getattr(words, name)
    made.filters["span"] = spans.span
    cast("dict[str, Any]", made.globals).update(static=statics.path, query=query, version=__version__)
    return made


def _read_told(request: Request) -> tuple[str, bool] | None:
    packed = request.cookies.get(_TOLD, "")
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(packed.encode()), type=tuple[str, bool]) if packed else None
    except (ValueError, msgspec.MsgspecError):
        return None
