"""The OpenAPI document: what FastAPI knows of the routes, our own schemas, and the scope that each route asks for.

`python -m spectra.api.document FILE` writes it; `docs/openapi.json` is that file, and a test holds it to the code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from spectra.api.answers import a_problem, components
from spectra.api.auth import ENVELOPE, SIGN_IN, scope_of
from spectra.api.tiers import needs_pro
from spectra.identity.roles import PUBLIC

_REFERENCE: Final = re.compile(r'"\$ref":"#/components/schemas/([^"]+)"')


def install(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Have `app.openapi()` answer our document of `routers`, which `app` includes; built once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app, routers)
        return app.openapi_schema

    app.openapi = openapi  # FastAPI's documented way of extending the document


def _build(app: FastAPI, routers: Sequence[APIRouter]) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, routes=app.routes, description=app.description)
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                _declare(operation, scope_of(list(route.dependencies)), writes=method not in ("GET", "HEAD"))
                if needs_pro(list(route.dependencies)):
                    operation["responses"].setdefault("402", a_problem())
    schemas = components()
    document["components"] = {
        "schemas": {name: schemas[name] for name in sorted(_referenced(document["paths"], schemas))},
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "A token, as `spk_...`."}},
    }
    return msgspec.json.decode(msgspec.json.encode(document))  # defaults that are tuples become lists


def _referenced(node: object, schemas: dict[str, Any]) -> set[str]:
    """The names of the schemas that `node` refers to, and that those refer to."""
    found: set[str] = set()
    waiting = _names(node)
    while waiting:
        found |= waiting
        waiting = _names([schemas[name] for name in waiting]) - found
    return found


def _names(node: object) -> set[str]:
    return set(_REFERENCE.findall(msgspec.json.encode(node).decode()))


def _declare(operation: dict[str, Any], scope: str, *, writes: bool) -> None:
    """What the framework cannot know: the scope, that parameters which do not validate are answered 400 here, that a
    blocked network is answered 403 everywhere, and what needs disk 507 where there is none left.
    """
    operation["x-spectra-scope"] = scope
    operation["security"] = [] if scope in (PUBLIC, ENVELOPE, SIGN_IN) else [{"token": []}]
    unprocessable = operation["responses"].get("422", {}).get("content", {})
    if "application/json" in unprocessable:  # the framework's own; ours is a problem
        del operation["responses"]["422"]
    for status, holds in (("400", "parameters" in operation), ("403", True), ("507", writes)):
        if holds:
            operation["responses"].setdefault(status, a_problem())


def main(path: Path) -> None:
    """Write the document to `path`, indented, with a line feed at the end."""
    from spectra.api.app import routed_app

    text = msgspec.json.format(msgspec.json.encode(routed_app().openapi()), indent=2)
    path.write_bytes(text + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/openapi.json"))
