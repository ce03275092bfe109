"""A browser without scripts that walks through forms: it keeps its cookies and follows redirects."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

import httpx

from tests.api.people import PASSWORD
from tests.web.site import Page


class Surfer:
    """A browser, and the page it shows."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.page = Page(httpx.Response(204))

    @property
    def at(self) -> str:
        """Path and query of the page."""
        return self.page.response.url.raw_path.decode()

    @property
    def told(self) -> str:
        """What the page says came of the last form."""
        return self.page.words("//*[contains(concat(' ', @class, ' '), ' told ')]")

    def go(self, path: str, **params: Any) -> Page:
        """Open a page."""
        self.page = Page(self.client.get(path, params=params or None))
        return self.page

    def send(self, action: str, *, by: str = "", **fields: Any) -> Page:
        """Send the form of this page that goes to `action`, some fields changed; `by` a button that sends it there."""
        self.page = Page(self.client.post(by or action, data=self.page.form(action) | fields))
        return self.page

    def sign_in(self, name: str, password: str = PASSWORD) -> Page:
        """By name and password."""
        self.go("/login")
        return self.send("/login", name=name, password=password)


@contextlib.contextmanager
def surfing(url: str) -> Generator[Surfer]:
    """A new browser, to which the node is `localhost`: passkeys are for names, not for addresses."""
    with httpx.Client(
        base_url=url.replace("127.0.0.1", "localhost"),
        headers={"accept": "text/html", "sec-fetch-site": "same-origin"},
        follow_redirects=True,
        timeout=30,
        trust_env=False,
    ) as client:
        yield Surfer(client)
