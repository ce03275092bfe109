"""The OpenAPI document: valid, complete, and the one that is committed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from openapi_spec_validator import validate

from spectra.api import document
from spectra.api.app import ROUTERS, routed_app
from spectra.api.auth import ENVELOPE, SIGN_IN, scope_of
from spectra.identity.roles import PUBLIC

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    """The document as this code makes it."""
    return routed_app().openapi()


def references(node: object) -> Iterator[str]:
    """Every `$ref` below `node`."""
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def operations(openapi: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) of the document."""
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_it_is_openapi_3_1(openapi: dict[str, Any]) -> None:
    """By the specification's own schema."""
    assert openapi["openapi"].startswith("3.1")
    validate(openapi)


def test_every_reference_resolves(openapi: dict[str, Any]) -> None:
    """Within the document."""
    found = set(references(openapi))
    assert found
    for reference in found:
        place: Any = openapi
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place.get("type") == "object" or place["enum"]


def test_every_route_is_in_it_with_its_scope(openapi: dict[str, Any]) -> None:
    """Described, with a scope, and with a token asked for exactly where one is needed."""
    routes = [r for router in ROUTERS for r in router.routes if isinstance(r, APIRoute)]
    assert len(list(operations(openapi))) == len(routes)
    for route in routes:
        for method in route.methods or ():
            operation = openapi["paths"][route.path_format][method.lower()]
            scope = scope_of(list(route.dependencies))
            assert operation["summary"]
            assert operation["description"]
            assert operation["x-spectra-scope"] == scope
            assert operation["security"] == ([] if scope in (PUBLIC, ENVELOPE, SIGN_IN) else [{"token": []}])


def test_problems_are_documented_as_such(openapi: dict[str, Any]) -> None:
    """No status of 4xx or 5xx has any other body, the framework's 422 included; but OAuth has errors of its own
    (RFC 6749 section 5.2), and so have the protocols of others that are spoken here.
    """
    for method, path, operation in operations(openapi):
        allowed = {"application/problem+json"}
        allowed |= {"application/json"} if path.startswith(("/v0/auth/", "/v1/", "/mcp")) else set()
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert set(response["content"]) <= allowed, (method, path, status)


def test_what_the_door_answers_is_documented(openapi: dict[str, Any]) -> None:
    """403 to a blocked network everywhere, 400 wherever there is a parameter that can be wrong."""
    for method, path, operation in operations(openapi):
        assert "403" in operation["responses"], (method, path)
        assert "400" in operation["responses"] or not operation.get("parameters"), (method, path)


def test_bodies_are_documented(openapi: dict[str, Any]) -> None:
    """Every POST says what it reads, but those whose path says all."""
    posts = {path: o for method, path, o in operations(openapi) if method == "post"}
    assert {path for path, o in posts.items() if "requestBody" not in o} == {
        "/v0/alerts/{id}/ack",
        "/v0/overview/look",
        "/v0/outlets/{name}/test",
        "/v0/deliveries/{notification}/{outlet}/again",
        "/v0/auth/setup-link",
        "/v0/provenance/verify",
        "/v0/enrich",
        "/v0/feeds/{name}/update",
        "/v0/feeds/{name}/rollback",
        "/v0/correlate",
        "/v0/vuln-feeds/{name}/update",
        "/v0/vulns/vectorize",
        "/v0/nodes/{name}/release",
        "/v0/nodes/ca/rotate",
        "/v0/nodes/ca/retire",
        "/v0/nodes/{name}/drain",
        "/v0/nodes/{name}/undrain",
        "/v0/jobs/{job}/pause",
        "/v0/jobs/{job}/resume",
        "/v0/schedules/{name}/pause",
        "/v0/schedules/{name}/resume",
        "/v0/schedules/{name}/run",
        "/v0/work/resume",
    }


def test_the_committed_document_is_this_one(openapi: dict[str, Any]) -> None:
    """`python -m spectra.api.document` was run after the last change of a route or a type."""
    assert json.loads(COMMITTED.read_text()) == json.loads(json.dumps(openapi)), "run python -m spectra.api.document"


def test_the_script_writes_the_file(tmp_path: Path) -> None:
    """From the command line, byte for byte what is committed."""
    target = tmp_path / "openapi.json"
    subprocess.run([sys.executable, "-m", "spectra.api.document", str(target)], check=True, timeout=60)
    assert target.read_bytes() == COMMITTED.read_bytes()
    document.main(target)
    assert target.read_bytes() == COMMITTED.read_bytes()
