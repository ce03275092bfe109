"""Requests as a browser makes them, for what works on requests and needs no server around it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from tests.api.node import Node
from tests.api.people import Clock, coordinator

HOST = "localhost:8765"
ORIGIN = f"http://{HOST}"


class Browser:
    """A cookie jar, and requests of it to one coordinator."""

    def __init__(self, node: Node, *, host: str = HOST, address: str = "192.0.2.7") -> None:
        self.services = node.services
        self.host = host
        self.address = address
        self.cookies: dict[str, str] = {}
        self.set: list[str] = []
        """The `Set-Cookie` lines of the last answer."""
        self._app = FastAPI()
        self._app.state.services = node.services

    def request(self, *, scheme: str = "http", peer: str = "", **headers: str) -> Request:
        """A request; names of header fields have `_` for `-`."""
        fields = {"host": self.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookies:
            fields["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return Request(
            {
                "type": "http",
                "method": "POST",
                "scheme": scheme,
                "path": "/",
                "query_string": b"",
                "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
                "client": (peer or self.address, 4711),
                "server": ("127.0.0.1", 8765),
                "app": self._app,
                "state": {"address": self.address},
            }
        )

    def take(self, put: Callable[[Response], None]) -> None:
        """Keep the cookies of an answer, and drop those that it takes away."""
        response = Response()
        put(response)
        self.set = response.headers.getlist("set-cookie")
        for line in self.set:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value


@contextlib.contextmanager
def desk_of(node: Node, folder: Path, clock: Clock, changes: Mapping[str, Any] | None = None) -> Generator[Node]:
    """A coordinator whose clock the test sets; what other tests counted against this machine is forgotten."""
    with node.services.database.connection() as connection:
        connection.execute("DELETE FROM login_throttle")
    with coordinator(node, folder, clock, **(changes or {})) as found:
        yield found
