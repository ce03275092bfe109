"""Bodies: bounded in size and time, and an error that names what is wrong."""

from __future__ import annotations

import contextlib

import pytest

from spectra.api.bodies import MAX_JSON_BYTES
from tests.api.node import Node, is_problem, raw_answer, raw_connection
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

PATH = "/v0/observations/known"


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        (b"", "body", "truncated"),
        (b"{", "body", "truncated"),
        (b"\xff\xfe", "body", "malformed"),
        (b"[]", "body", "Expected `object`"),
        (b"{}", "body", "output_sha256"),
        (b'{"output_sha256":1}', "output_sha256", "Expected `array`"),
        (b'{"output_sha256":["x"]}', "output_sha256[0]", "regex"),
        (b'{"output_sha256":[],"more":1}', "body", "more"),
        (b'{"output_sha256":' + b"[" * 100_000, "output_sha256[0]", "Expected `str`"),
        (b'{"output_sha256":["\\ud800"]}', "body", "truncated"),
        (b'{"output_sha256":["\\u0000"]}', "body", "NUL"),
        (b'{"output_sha256":["\\\\\\u0000"]}', "body", "NUL"),
        (b'{"output_sha256":["\\\\u0000"]}', "output_sha256[0]", "regex"),  # a backslash, and letters
    ],
)
def test_the_wrong_field_is_named(node: Node, body: bytes, field: str, said: str) -> None:
    """Broken JSON, wrong types, unknown fields and deep nesting are all a 400 that says where."""
    answer = is_problem(node.ask("POST", PATH, content=body), 400, "bad_request")
    assert answer["field"] == field
    assert said in answer["detail"]


def test_a_thousand_digests_and_no_more(node: Node) -> None:
    """The documented bound."""
    digest = '"' + "ab" * 32 + '"'
    for count, status in ((1000, 200), (1001, 400)):
        body = '{"output_sha256":[' + ",".join([digest] * count) + "]}"
        assert node.ask("POST", PATH, content=body).status_code == status


def test_a_large_body_is_refused_by_its_claim_and_by_its_bytes(node: Node) -> None:
    """With a length in advance, and with chunks that never say how many will come."""
    body = b" " * (MAX_JSON_BYTES + 1)
    is_problem(node.ask("POST", PATH, content=body), 413, "too_large")
    chunks = (body[i : i + 65536] for i in range(0, len(body), 65536))
    is_problem(node.ask("POST", PATH, content=chunks), 413, "too_large")


def test_a_body_that_stops_coming_is_given_up(node: Node) -> None:
    """408 once the time is over; the connection did not have to end for it."""
    token = node.of("admin").token
    with node.variant(body_timeout_s=0.2) as hasty, raw_connection(hasty.url) as connection:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head.encode() + b'{"output')
        status, fields, body = raw_answer(connection)
    assert status == 408
    assert fields["content-type"] == "application/problem+json"
    assert b"body_too_slow" in body


def test_a_body_that_is_broken_off_is_no_defect(node: Node) -> None:
    """The client left: nobody is there to be answered, and no error of ours is counted."""
    token = node.of("admin").token
    with node.variant() as own:
        with raw_connection(own.url) as connection:
            head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 100\r\n\r\n"
            connection.sendall(head.encode() + b"{")
        with contextlib.closing(own.client("admin")) as client:
            assert client.get("/health/live").status_code == 200
        line = f'spectra_http_requests_total{{method="POST",route="{PATH}",status="400"}}'
        eventually(lambda: own.metric(line) == 1)
