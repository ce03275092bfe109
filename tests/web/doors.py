"""Every route of the app, as its table has them: what tests of access, forgery and hostile text are made from."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi.routing import APIRoute

from spectra.api.app import ROUTERS as API
from spectra.api.auth import CERTIFICATE, ENVELOPE, SIGN_IN, scope_of
from spectra.api.routes import health
from spectra.identity.roles import PUBLIC, ROLES
from spectra.web.install import ROUTERS as WEB

OPEN = frozenset({PUBLIC, ENVELOPE, SIGN_IN, CERTIFICATE})
"""Scopes of what needs nobody to be signed in."""

SAMPLES = {
    "ip": "192.0.2.199",
    "cve": "CVE-2024-6387",
    "id": "00000000-0000-4000-8000-000000000000",
    "observation_id": "0" * 64,
    "digest": "000000000000",
    "seq": "1",
    "number": "1",
}
"""What stands for a parameter of a path; `nothing-here` for the others."""


@dataclass(frozen=True)
class Door:
    """One method of one route."""

    method: str
    path: str
    scope: str
    page: bool
    queries: tuple[str, ...]
    body: bool

    @property
    def name(self) -> str:
        """As a test shows it."""
        return f"{self.method} {self.path}"

    @property
    def open(self) -> bool:
        """Whether nobody has to be signed in."""
        return self.scope in OPEN

    def filled(self, samples: dict[str, str] | None = None) -> str:
        """The path with something in the place of each parameter."""
        parts = self.path.split("/")
        known = SAMPLES | (samples or {})
        for at, part in enumerate(parts):
            if part.startswith("{"):
                parts[at] = known.get(part.strip("{}").partition(":")[0], "nothing-here")
        return "/".join(parts)

    def held_by(self, role: str) -> bool:
        """Whether a built-in role may come in."""
        return self.open or self.scope in ROLES[role]


def _doors(routers: tuple[object, ...], *, page: bool) -> list[Door]:
    found = [route for router in routers for route in getattr(router, "routes") if isinstance(route, APIRoute)]  # noqa: B009
    return [
        Door(
            method,
            route.path,
            scope_of(list(route.dependencies)),
            page,
            tuple(query.name for query in route.dependant.query_params),
            "requestBody" in (route.openapi_extra or {}),
        )
        for route in found
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]


PAGES = _doors(WEB, page=True)
CALLS = _doors((*API, health.document), page=False)
EVERY = [*PAGES, *CALLS]
