"""What holds for every route: request ids, header fields, errors of routing and of ours, the access log."""

from __future__ import annotations

import logging

import anyio
import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse
from starlette.types import Message

from spectra.api.app import ROUTERS, create_app, routed_app
from tests.api.node import Node, is_problem, raw_answer, raw_connection, serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


def test_an_unknown_path_is_a_problem(node: Node) -> None:
    """404 with a reason of its own, not one of a missing record."""
    is_problem(node.get("/v0/nothing"), 404, "no_such_path")


def test_a_wrong_method_says_which_are_right(node: Node) -> None:
    """405 with `Allow` (RFC 9110 section 15.5.6)."""
    response = node.ask("PUT", "/v0/search")
    is_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


@pytest.mark.parametrize("sane", ["a", "run-17.3_B", "x" * 64])
def test_a_sane_request_id_comes_back(node: Node, sane: str) -> None:
    """The caller's id is the one in the answer, so that it can be found in both logs."""
    assert node.ask("GET", "/health/live", "", headers={"x-request-id": sane}).headers["x-request-id"] == sane


@pytest.mark.parametrize("hostile", ["", "x" * 65, "a b", "a\tb", 'a"b', "a{b}", "<script>", "\xe9", "a\x1b[31m"])
def test_a_hostile_request_id_is_replaced(node: Node, hostile: str) -> None:
    """What could forge a log line, or is longer than any id, never gets into log or answer."""
    with raw_connection(node.url) as connection:
        head = f"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: {hostile}\r\n\r\n"
        connection.sendall(head.encode("latin-1"))
        status, fields, _ = raw_answer(connection)
    if status == 200:  # the parser itself refuses some
        assert len(fields["x-request-id"]) == 32
        assert fields["x-request-id"] != hostile


def test_two_requests_have_two_ids(node: Node) -> None:
    """Without an id of the caller's each request gets one."""
    ids = {node.ask("GET", "/health/live", "").headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2


def test_answers_are_neither_guessed_nor_kept(node: Node) -> None:
    """No sniffing of types and no caches, errors included."""
    for response in (node.get("/v0/status"), node.get("/v0/nothing")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"


def test_parameters_that_do_not_validate_name_the_field(node: Node) -> None:
    """The framework's own complaint in our form."""
    body = is_problem(node.get("/v0/observations", limit="many"), 400, "bad_request")
    assert body["field"] == "limit"


def test_an_access_log_line_per_request(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    """With ECS field names, the request's id, and neither query nor token."""

    def logged() -> list[dict[str, object]]:
        return [vars(r) for r in caplog.records if vars(r).get("http.request.id") == "logged-1"]

    with caplog.at_level(logging.INFO, logger="spectra.api"):
        node.ask("GET", "/v0/search?q=secretword", headers={"x-request-id": "logged-1"})
        line = eventually(logged)[0]  # it is written after the answer is
    assert (line["http.request.method"], line["url.path"]) == ("GET", "/v0/search")
    assert line["http.response.status_code"] == 200
    assert isinstance(line["event.duration"], int)
    assert "secretword" not in str(line)
    assert node.of("admin").token not in str(line)


def defective(app: FastAPI) -> None:
    """Two routes with a defect: before the answer begins, and after."""

    def halfway() -> StreamingResponse:
        def parts() -> object:
            yield b"first"
            raise ValueError("the hidden cause")

        return StreamingResponse(parts())  # type: ignore[arg-type]

    def before() -> None:
        raise ValueError("the hidden cause")

    app.add_api_route("/before", before)
    app.add_api_route("/halfway", halfway)


def test_a_defect_is_answered_and_logged_not_shown(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    """500 as a problem; its cause stands in the log under the request's id and nowhere else."""
    with serving(node.services, defective) as url:
        response = httpx.get(f"{url}/before", headers={"x-request-id": "defect-1"}, trust_env=False)
    is_problem(response, 500, "internal")
    assert "hidden cause" not in response.text
    logged = [r for r in caplog.records if r.levelno >= logging.ERROR and vars(r).get("http.request.id") == "defect-1"]
    assert logged
    assert logged[0].exc_info


def test_a_defect_in_the_middle_breaks_the_answer_off(node: Node) -> None:
    """A cut answer must not look whole: the connection ends without the last chunk."""
    with serving(node.services, defective) as url, pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{url}/halfway", trust_env=False)


def test_only_http_is_observed(node: Node) -> None:
    """Other protocols of ASGI pass: a server's lifespan messages are answered as the framework does."""
    sent: list[Message] = []
    inbox = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Message:
        return inbox.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        await create_app(node.services)({"type": "lifespan", "state": {}}, receive, send)

    anyio.run(run)
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_the_routed_app_needs_no_services() -> None:
    """Its document can be made anywhere, and it has every router."""
    paths = routed_app().openapi()["paths"]
    assert len(paths) >= sum(1 for _ in ROUTERS)
