"""The design, enforced: who may import whom, where SQL and the workflow engine live, and that every route has a scope.

The allow-lists in here only shrink.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from spectra.api.app import ROUTERS
from spectra.api.auth import CERTIFICATE, ENVELOPE, SIGN_IN, scope_of
from spectra.api.meshapp import MESH_ROUTERS
from spectra.api.routes import health
from spectra.identity.roles import PUBLIC, SCOPES

SOURCE = Path(__file__).parents[1] / "src" / "spectra"

# Room -> rooms of ours that it may import. `errors` and `settings` are open to all; `app` and `bench` import anything.
MAY_IMPORT = {
    "model": set[str](),
    "identity": {"model"},
    "store": {"model"},
    "ingest": {"model", "identity"},
    "fabric": {"model", "identity"},
    "mesh": {"model", "identity", "fabric"},
    "collect": {"model", "identity", "fabric"},
    "intel": {"model"},
    "ai": {"model", "store"},
    "act": {"model", "store", "fabric"},
    "flow": {"model", "identity", "store", "ingest", "intel", "fabric", "mesh", "collect", "ai", "act"},
    "api": {"flow", "store", "identity", "model", "ingest", "intel", "fabric", "mesh", "ai", "act"},
    "web": {"api", "identity", "model"},
    "cli": {"model", "identity", "collect", "engines", "fabric"},
    "engines": set[str](),
}
# What else a single file may import, and why it has to.
EXCEPTIONS = {
    "cli/node.py": {"app"},  # `spectra up` is the one command that reaches the composition root
    "cli/agentmain.py": {"logs"},  # a process of its own, without the composition root that sets up the others' log
    "cli/bench.py": {"bench"},  # the door to the benchmark
    "cli/recognition.py": {
        "ingest"
    },  # recognition alone: what is no scan is not sent, and only one code may decide that
}
ENGINE = {"flow/workflows.py", "flow/correlateflow.py", "flow/vulnflow.py", "flow/vectorjob.py"} | {
    "flow/planflow.py",
    "flow/recovery.py",
    "flow/targetflow.py",
    "flow/reportflow.py",
    "flow/notifyflow.py",
}
PURE = ("model", "identity", "ingest", "intel", "mesh")
IMPURE_MODULES = {"asyncio", "socket", "httpx", "requests", "urllib.request", "psycopg", "subprocess", "fastapi"}

SQL = re.compile(r"\b(SELECT\b.+\bFROM\b|INSERT INTO\b|DELETE FROM\b|UPDATE\b.+\bSET\b|CREATE TABLE\b)", re.DOTALL)


def files(room: str = "") -> list[Path]:
    """The source files of a room, or all."""
    return sorted((SOURCE / room).rglob("*.py"))


def name_of(path: Path) -> str:
    """The path below the package, such as `store/graph.py`."""
    return path.relative_to(SOURCE).as_posix()


# Reading every file takes seconds, and six of the tests ask for all of them.
@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Everything in a file, the module itself first."""
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """Nobody else needs what was read: hundreds of megabytes, through which every search for garbage would go."""
    yield
    nodes.cache_clear()


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module a file imports, at whatever depth."""
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def rooms_imported(path: Path) -> set[str]:
    """The rooms of ours that a file imports."""
    ours = (m.split(".")[1] for m in imports(path) if m.startswith("spectra."))
    return {room for room in ours if room not in ("errors", "settings", "__version__")}


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_rooms_import_only_what_the_design_allows(room: str) -> None:
    """The table of rooms in the design holds."""
    for path in files(room):
        wrong = rooms_imported(path) - MAY_IMPORT[room] - {room} - EXCEPTIONS.get(name_of(path), set())
        assert not wrong, f"{name_of(path)} imports {', '.join(sorted(wrong))}"


def test_every_room_is_in_the_table() -> None:
    """A new room has to say what it may import."""
    rooms = {p.name for p in SOURCE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert rooms - {"bench", "settings"} == set(MAY_IMPORT)


@pytest.mark.parametrize("room", PURE)
def test_the_core_is_pure(room: str) -> None:
    """Identity, model and ingest know no event loop, socket, HTTP client, database or subprocess."""
    for path in files(room):
        assert not IMPURE_MODULES & imports(path), name_of(path)


def test_only_the_store_holds_sql() -> None:
    """SQL text stands in `store`, and in `bench` for the baseline it is measured against."""
    for path in files():
        if name_of(path).startswith(("store/", "bench/")):
            continue
        docstrings = _docstrings(path)
        for node in nodes(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                assert not SQL.search(node.value), f"{name_of(path)}:{node.lineno} holds SQL"


def _docstrings(path: Path) -> set[int]:
    """The ids of the constants that are docstrings."""
    found: set[int] = set()
    for node in nodes(path):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                found.add(id(first.value))
    return found


def test_only_flow_imports_the_workflow_engine() -> None:
    """DBOS stays behind one module, and those whose workflows it runs."""
    users = [name_of(p) for p in files() if any(m.split(".")[0] == "dbos" for m in imports(p))]
    assert set(users) == ENGINE


def test_only_the_gate_seals_and_only_identity_builds_verified() -> None:
    """Nothing unverified can reach the store: one module builds `Verified`, one function outside may ask for it."""
    sealers = [name_of(p) for p in files() if "spectra.identity.verified.seal" in set(imports(p))]
    assert sealers == ["ingest/gate.py"]
    for path in files():
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Verified":
                assert name_of(path) == "identity/verified.py"


def routes() -> list[APIRoute]:
    """Every route of the API."""
    routers = [*ROUTERS, health.document]
    return [route for router in routers for route in router.routes if isinstance(route, APIRoute)]


def test_every_route_declares_a_scope_that_exists() -> None:
    """A route without a scope, or with one that no role can hold, does not get in."""
    assert routes()
    for route in routes():
        assert scope_of(list(route.dependencies)) in SCOPES | {PUBLIC, ENVELOPE, SIGN_IN}, route.path


def mesh_routes() -> list[APIRoute]:
    """Every route of the mesh's listener."""
    return [route for router in MESH_ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def test_every_route_of_the_mesh_declares_a_scope_of_machines() -> None:
    """Machines have no roles: a certificate, a token or envelope in the body, or what anybody may know."""
    assert mesh_routes()
    for route in mesh_routes():
        scopes = {CERTIFICATE, PUBLIC, ENVELOPE, SIGN_IN}
        assert scope_of(list(route.dependencies)) in scopes, route.path


def test_what_the_mesh_shows_to_anybody_is_this() -> None:
    """The CA's public half, as step-ca has it, at `/` and at `/1.0/`; and that it lives."""
    shown = {
        *("/health", "/version", "/root/{fingerprint}", "/roots", "/roots.pem", "/federation", "/crl"),
        *("/intermediates", "/intermediates.pem", "/provisioners", "/provisioners/{kid}/encrypted-key"),
    }
    found = {r.path for r in mesh_routes() if scope_of(list(r.dependencies)) == PUBLIC}
    assert found == shown | {f"/1.0{path}" for path in shown} | {"/v0/health"}
    signing_in = {r.path for r in mesh_routes() if scope_of(list(r.dependencies)) == SIGN_IN}
    assert signing_in == {"/sign", "/1.0/sign"}


def test_routes_open_to_anyone_are_these() -> None:
    """What needs no token is listed here, so that adding to it is a decision."""
    opened = {r.path for r in routes() if scope_of(list(r.dependencies)) in (PUBLIC, ENVELOPE, SIGN_IN)}
    assert opened == {
        "/v0/mesh/ingest",
        "/v0/ingest",
        "/v0/keys/rotate",
        "/v0/auth/token",
        "/v0/auth/device",
        "/v0/setup",
        "/v0/auth/revoke",
        "/v0/auth/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/v0/do-not-scan",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
    }
