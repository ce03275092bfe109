"""Routes of several routers in one app."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient

from spectra.api.mounting import serve

first, second = APIRouter(tags=["first"]), APIRouter()


@first.get("/a/{name}")
def a(name: str) -> str:
    """One route."""
    return f"a {name}"


@second.get("/a/fixed")
def shadowed() -> str:
    """Never reached where `first` is before it."""
    return "shadowed"


@second.post("/b")
def b(number: int) -> int:
    """Another."""
    return number


def test_the_first_router_that_has_a_path_answers() -> None:
    """As their order says; what none has is not found, and a wrong method is told from that."""
    app = FastAPI()
    serve(app, (first, second))
    with TestClient(app) as client:
        assert client.get("/a/fixed").json() == "a fixed"
        assert client.post("/b", params={"number": 7}).json() == 7
        assert client.post("/b", params={"number": "x"}).status_code == 422
        assert client.get("/b").status_code == 405
        assert client.get("/c").status_code == 404


def test_the_document_has_them_all() -> None:
    """With the tags of their router."""
    app = FastAPI()
    serve(app, (first, second))
    paths = app.openapi()["paths"]
    assert set(paths) == {"/a/{name}", "/a/fixed", "/b"}
    assert paths["/a/{name}"]["get"]["tags"] == ["first"]
