"""The API as pages ask it: as whoever looks, and as a program would."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import anyio
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse

from spectra.api.app import create_app
from spectra.api.auth import INSIDE, Caller
from spectra.errors import BadRequest, SpectraError
from spectra.identity.roles import ROLES
from spectra.model.accounts import Me
from spectra.model.records import SearchPage
from spectra.model.work import JobRecord
from spectra.web.inside import Inside, Problem
from tests.web.site import Site

OUTER = {
    "headers": [],
    "scheme": "http",
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 2),
    "state": {"request_id": "of-the-page"},
}


def inside(site: Site, role: str) -> Inside:
    """Asks that node as the standing account of `role`."""
    caller = Caller(site.node.of(role).name, role, ROLES[role])
    return Inside(create_app(site.node.services), caller, OUTER)


def test_an_answer_comes_as_its_type(site: Site) -> None:
    """As the caller that the page is for."""
    me = anyio.run(lambda: inside(site, "user").get("/v0/accounts/me", Me))
    assert (me.account.name, me.scopes) == (site.node.of("user").name, tuple(sorted(ROLES["user"])))


def test_scopes_are_those_of_the_route(site: Site) -> None:
    """What the caller may not ask is refused as to any client, with the id of the page's request."""
    with pytest.raises(Problem) as caught:
        anyio.run(lambda: inside(site, "read-only").get("/v0/accounts", SearchPage))
    assert (caught.value.status, caught.value.reason) == (403, "forbidden")
    assert "accounts:read" in caught.value.detail


def test_a_problem_names_its_field_and_what_to_do(site: Site) -> None:
    """As the route told it."""
    with pytest.raises(Problem) as caught:
        anyio.run(lambda: inside(site, "user").get("/v0/search", SearchPage, q="port:x"))
    assert caught.value.status == 400
    assert caught.value.field


def test_several_are_asked_at_once(site: Site) -> None:
    """In the order of asking; parameters that are empty are not sent."""
    api = inside(site, "user")

    async def both() -> list[object]:
        return await api.together(
            api.get("/v0/search", SearchPage, q="", cursor=None, limit=1, total=True),
            api.get("/v0/accounts/me", Me),
        )

    page, me = anyio.run(both)
    assert isinstance(page, SearchPage)
    assert isinstance(me, Me)


def test_what_is_asked_once_is_known_again(site: Site) -> None:
    """By the key that goes along with it."""
    api = inside(site, "admin")

    async def thrice() -> list[str]:
        body = {"targets": ["203.7.7.7"], "consent": "mine"}
        return [(await api.send("POST", "/v0/jobs", JobRecord, body, once=key)).job for key in ("k" * 8, "k" * 8, "")]

    first, again, other = anyio.run(thrice)
    assert first == again != other


def test_the_first_problem_of_several_is_told(site: Site) -> None:
    """As itself, and not as a group that no page could show."""
    api = inside(site, "read-only")

    async def both() -> list[object]:
        return await api.together(
            api.get("/v0/accounts/me", Me),
            api.get("/v0/accounts", SearchPage),
        )

    with pytest.raises(Problem) as caught:
        anyio.run(both)
    assert caught.value.status == 403


def test_a_nul_goes_nowhere(site: Site) -> None:
    """The guard of requests from outside is not passed again, so it is looked for here."""
    api = inside(site, "user")
    for path, params in (("/v0/hosts/a\0", {}), ("/v0/search", {"q": "a\0"})):
        with pytest.raises(BadRequest):
            anyio.run(lambda path=path, params=params: api.raw("GET", path, params=params))


def test_no_client_can_say_whom_it_speaks_for(site: Site) -> None:
    """What comes over a socket fills no such key."""
    with site.visit("") as client:
        answer = client.get("/v0/accounts/me", headers={INSIDE: "admin", "x-spectra-caller": "admin"})
    assert answer.status_code == 401


def test_an_answer_may_come_piece_by_piece() -> None:
    """And ends when nobody listens any more: the route is told, and does not go on for ever."""
    ended: list[str] = []

    async def endless() -> AsyncGenerator[bytes]:
        try:
            for number in range(1_000_000):
                yield f"{number}\n".encode()
                await anyio.lowlevel.checkpoint()
        finally:
            ended.append("ended")

    app = FastAPI()
    app.add_route("/endless", lambda request: StreamingResponse(endless()))

    async def listen() -> bytes:
        api = Inside(app, Caller("a", "user", frozenset()), OUTER)
        answer, body = await api.stream("GET", "/endless")
        assert answer.status == 200
        async with contextlib.aclosing(body):
            return await anext(body)

    assert anyio.run(listen) == b"0\n"
    assert ended == ["ended"]


def test_an_answer_that_is_too_large_is_not_kept() -> None:
    """A page could not show it anyway."""
    app = FastAPI()

    async def large(request: Request) -> StreamingResponse:
        async def parts() -> AsyncGenerator[bytes]:
            for _ in range(70):
                yield bytes(1 << 20)

        return StreamingResponse(parts())

    app.add_route("/large", large)
    api = Inside(app, Caller("a", "user", frozenset()), OUTER)
    with pytest.raises(SpectraError, match="too large"):
        anyio.run(lambda: api.raw("GET", "/large"))


def test_a_body_is_sent_as_json() -> None:
    """And lists as parameters that come several times."""
    app = FastAPI()

    async def echo(request: Request) -> JSONResponse:
        return JSONResponse({"body": await request.json(), "query": request.query_params.multi_items()})

    app.add_route("/echo", echo, methods=["PUT"])
    api = Inside(app, Caller("a", "user", frozenset()), OUTER)
    told = anyio.run(
        lambda: api.send("PUT", "/echo", dict[str, object], {"a": [1]}, kind=["x", "y"], on=True, off=False, no="")
    )
    assert told == {"body": {"a": [1]}, "query": [["kind", "x"], ["kind", "y"], ["on", "true"], ["off", "false"]]}
