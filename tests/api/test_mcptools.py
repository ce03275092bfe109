"""Tools for models: their arguments, and the requests they stand for."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from spectra.api.app import ROUTERS
from spectra.api.auth import scope_of
from spectra.api.mcptools import BY_NAME, MOST, TOOLS, Spec, schema_of
from spectra.errors import BadRequest
from spectra.identity.roles import SCOPES
from spectra.model.records import HostRecord

NEEDED: dict[str, dict[str, Any]] = {
    "host": {"ip": "192.0.2.1"},
    "diff": {"since": "7d"},
    "explain": {"kind": "ip", "target": "192.0.2.1"},
    "explain_by_rules": {"ip": "192.0.2.1"},
    "vulnerability": {"cve": "CVE-2024-6387"},
}


@pytest.mark.parametrize("spec", TOOLS, ids=lambda spec: spec.name)
def test_schemas_are_json_schema_of_an_object(spec: Spec) -> None:
    """As MCP wants them, for arguments and answers; the least that is needed fits, and is read."""
    for schema in (spec.input_schema, spec.output_schema):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
    least = NEEDED.get(spec.name, {})
    assert Draft202012Validator(spec.input_schema).is_valid(least)
    assert spec.read(least).inner().path.startswith("/v0/")


@pytest.mark.parametrize("spec", TOOLS, ids=lambda spec: spec.name)
def test_the_scope_told_is_the_route_s(spec: Spec) -> None:
    """Who is told of a tool may call the route that answers it."""
    inner = spec.read(NEEDED.get(spec.name, {})).inner()
    scopes = {
        scope_of(list(getattr(route, "dependencies", [])))
        for router in ROUTERS
        for route in router.routes
        if inner.method in getattr(route, "methods", ()) and getattr(route, "path_regex").match(inner.path)  # noqa: B009
    }
    assert spec.scope in scopes & SCOPES


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("host", {}),
        ("host", {"ip": ".."}),
        ("host", {"ip": "../v0/keys"}),
        ("host", {"ip": "192.0.2.1", "as": "admin"}),
        ("host", {"ip": ["192.0.2.1"]}),
        ("search", {"limit": MOST + 1}),
        ("search", {"limit": "10"}),
        ("search", {"q": "x" * 2001}),
        ("findings", {"state": "all"}),
        ("vulnerability", {"cve": "CVE-2024-6387/hosts"}),
        ("diff", {"since": ""}),
    ],
)
def test_what_does_not_fit_is_refused(tool: str, arguments: dict[str, Any]) -> None:
    """Before anything is asked: a path cannot be made of an argument, no bound passed, no other parameter given."""
    with pytest.raises(BadRequest):
        BY_NAME[tool].read(arguments).inner()


def test_an_address_is_one_segment() -> None:
    """However it is written."""
    assert BY_NAME["host"].read({"ip": "2001:DB8::1"}).inner().path == "/v0/host/2001:db8::1"
    assert BY_NAME["host"].read({"ip": "fe80::1%eth0"}).inner().path == "/v0/host/fe80::1%25eth0"
    with pytest.raises(BadRequest):
        BY_NAME["host"].read({"ip": "fe80::1%/../x"}).inner()


def test_what_was_not_said_is_not_asked() -> None:
    """Defaults are the route's; a flag is `true`."""
    asked = BY_NAME["host"].read({"ip": "192.0.2.1", "history": True}).inner()
    assert asked.params == {"history": "true"}


def test_a_schema_stands_by_itself() -> None:
    """What it refers to is in it."""
    schema = schema_of(HostRecord)
    assert schema["title"] == "HostRecord"
    assert "$ref" not in schema
    assert schema["$defs"]
