"""Every route of the app, as its table has them: what tests of access, forgery and hostile text are made from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args, get_origin
from uuid import UUID

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from spectra.api.app import ROUTERS as API
from spectra.api.auth import CERTIFICATE, ENVELOPE, SIGN_IN, scope_of
from spectra.api.routes import health
from spectra.identity.roles import PUBLIC, ROLES
from spectra.web.install import ROUTERS as WEB

OPEN = frozenset({PUBLIC, ENVELOPE, SIGN_IN, CERTIFICATE})
"""Scopes of what needs nobody to be signed in."""
ENDLESS = frozenset({"/v0/stream", "/live"})
"""Paths whose answer does not end."""

_UUID: Final = "00000000-0000-4000-8000-000000000000"
_NAMES: Final = {"ip": "192.0.2.199", "cve": "CVE-2024-6387", "observation_id": "0" * 64, "code": "FR"} | {
    "job": f"job-{'0' * 20}",
    "report": f"report-{'0' * 20}",
}
_NOTHING: Final = "nothing-here"


@dataclass(frozen=True)
class Door:
    """One method of one route. `samples` stand for the parameters of its path: what could be there, and is not."""

    method: str
    path: str
    scope: str
    page: bool
    queries: tuple[str, ...]
    samples: Mapping[str, str] = field(hash=False, compare=False)

    @property
    def name(self) -> str:
        """As a test shows it."""
        return f"{self.method} {self.path}"

    @property
    def open(self) -> bool:
        """Whether nobody has to be signed in."""
        return self.scope in OPEN

    @property
    def shows(self) -> bool:
        """Whether it is a page that can be looked at."""
        return self.page and self.method == "GET" and self.path not in ENDLESS and not self.path.startswith("/static/")

    def filled(self, samples: Mapping[str, str] | None = None) -> str:
        """The path with something in the place of each parameter."""
        known = {**self.samples, **(samples or {})}
        return re.sub(r"\{([a-z_]+)(?::[a-z]+)?\}", lambda found: known[found[1]], self.path)

    def held_by(self, role: str) -> bool:
        """Whether a built-in role may come in."""
        return self.open or self.scope in ROLES[role]


def _sample(name: str, annotation: Any, metadata: list[Any]) -> str:
    if annotation is int:
        return "1"
    if get_origin(annotation) is Literal:
        return str(get_args(annotation)[0])
    if annotation is UUID:
        return _UUID
    patterns = [text for rule in metadata if (text := getattr(rule, "pattern", None))]
    wanted = (_NAMES.get(name, _NOTHING), _UUID, "0" * 32, "0" * 64, "1")
    return next((text for text in wanted if all(re.search(pattern, text) for pattern in patterns)), _NOTHING)


def _samples(dependant: Dependant) -> dict[str, str]:
    fields = {field.name: field.field_info for field in dependant.path_params}
    return {name: _sample(name, info.annotation, info.metadata) for name, info in fields.items()}


def _doors(routers: tuple[Any, ...], *, page: bool) -> list[Door]:
    found = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return [
        Door(
            method,
            route.path,
            scope_of(list(route.dependencies)),
            page,
            tuple(query.alias for query in route.dependant.query_params),
            _samples(route.dependant),
        )
        for route in found
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]


PAGES = _doors(WEB, page=True)
CALLS = _doors((*API, health.document), page=False)
EVERY = [*PAGES, *CALLS]
