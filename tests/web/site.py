"""The dashboard of a real node, and browsers that are signed in to it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import httpx
from lxml import html

from spectra.api import browser
from spectra.store import sessions
from spectra.store.sessions import Cookie, NewSession
from tests.api.node import Node


@dataclass
class Page:
    """What a browser was answered."""

    response: httpx.Response

    @property
    def status(self) -> int:
        """Of the answer."""
        return self.response.status_code

    @property
    def text(self) -> str:
        """The markup."""
        return self.response.text

    @cached_property
    def root(self) -> Any:
        """The document."""
        return html.fromstring(self.response.text)

    def find(self, xpath: str) -> list[Any]:
        """Elements, such as `//table//a`."""
        return self.root.xpath(xpath)

    def words(self, xpath: str = "//main") -> str:
        """The text of the first such element, its white space made single."""
        found = self.find(xpath)
        return " ".join(found[0].text_content().split()) if found else ""

    def form(self, action: str) -> dict[str, Any]:
        """The fields of the first form that is sent to `action`, as they stand; of one that acts where there is one."""
        for form in sorted(self.root.forms, key=lambda form: form.method != "POST"):
            if form.get("action") == action:
                return {key: value for key, value in form.fields.items() if value is not None}
        raise AssertionError(f"no form is sent to {action}: {[form.get('action') for form in self.root.forms]}")


@dataclass
class Site:
    """A node whose app serves pages too."""

    node: Node
    cookies: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def cookie(self, role: str) -> dict[str, str]:
        """The cookie of a browser in which the standing account of `role` is signed in."""
        if role not in self.cookies:
            self.cookies[role] = self.signed_in(self.node.of(role).name)
        return self.cookies[role]

    def signed_in(self, account: str) -> dict[str, str]:
        """The cookie of one more browser in which `account` is signed in."""
        services, secret = self.node.services, secrets.token_urlsafe(32)
        now = services.clock()
        new = NewSession(account, browser.CLIENT, "password", None, "", "127.0.0.1", now + timedelta(hours=12))
        known = Cookie(browser.digest(secret), browser.digest(secrets.token_urlsafe(32)))
        sessions.begin_browser(services.database, new, known, now)
        return {browser.NAME: secret}

    def visit(self, role: str = "admin", **options: Any) -> httpx.Client:
        """A browser without scripts: cookies, no redirects followed. Nobody is signed in where `role` is empty."""
        return httpx.Client(
            base_url=self.node.url,
            cookies=self.cookie(role) if role else None,
            headers={"accept": "text/html", "sec-fetch-site": "same-origin"},
            timeout=30,
            trust_env=False,
            **options,
        )

    def page(self, path: str, role: str = "admin", /, **params: Any) -> Page:
        """A page as `role` sees it."""
        with self.visit(role) as client:
            return Page(client.get(path, params=params or None))

    def sent(self, page: str, action: str, role: str = "admin", /, **fields: Any) -> Page:
        """The form of `page` that goes to `action`, sent with some fields changed; the answer, not followed."""
        with self.visit(role) as client:
            form = Page(client.get(page)).form(action) | fields
            return Page(client.post(action, data=form))

    def after(self, page: str, action: str, role: str = "admin", /, **fields: Any) -> Page:
        """The same, followed to the page that it leads to."""
        with self.visit(role, follow_redirects=True) as client:
            form = Page(client.get(page)).form(action) | fields
            return Page(client.post(action, data=form))
