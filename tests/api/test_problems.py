"""The one table from errors to HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spectra.api.answers import ProblemDetails
from spectra.api.problems import Busy, Forbidden, problem, status_of
from spectra.errors import BadRequest, Corrupt, NotFound, SetupError, SpectraError, Unavailable
from spectra.identity.errors import IdentityError
from spectra.ingest.gate import RateLimited, Reason, Rejected
from spectra.ingest.parsers import ParseError

GATE = {
    Reason.ENVELOPE_TOO_LARGE: 413,
    Reason.MALFORMED_ENVELOPE: 400,
    Reason.MALFORMED_PAYLOAD: 400,
    Reason.NOT_CANONICAL: 400,
    Reason.UNKNOWN_KEY: 401,
    Reason.BAD_SIGNATURE: 401,
    Reason.KEY_REVOKED: 401,
    Reason.KEY_EXPIRED: 401,
    Reason.CONTRIBUTOR_MISMATCH: 403,
    Reason.EXPIRED: 400,
    Reason.FROM_THE_FUTURE: 400,
    Reason.NONCE_REPLAYED: 409,
    Reason.ROLE_FORBIDDEN: 403,
    Reason.ACCOUNT_DISABLED: 403,
    Reason.RATE_LIMITED: 429,
    Reason.MALFORMED_BUNDLE: 400,
    Reason.IMPOSTOR: 403,
    Reason.OTHER_OBSERVATIONS: 400,
    Reason.OTHER_FILES: 400,
    Reason.OTHER_LEASE: 400,
    Reason.OUT_OF_SCOPE: 403,
}


@pytest.mark.parametrize("reason", list(Reason))
def test_each_reason_of_the_gate_has_a_status(reason: Reason) -> None:
    """A new reason needs a decision here."""
    assert status_of(Rejected(reason, "no.")) == GATE[reason]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("x"), 404),
        (NotFound("x", reason="unknown_key"), 404),
        (BadRequest("x"), 400),
        (BadRequest("x", reason="too_large"), 413),
        (BadRequest("x", reason="body_too_slow"), 408),
        (BadRequest("x", reason="key_exists"), 409),
        (BadRequest("x", reason="role_conflict"), 409),
        (IdentityError("x"), 400),
        (IdentityError("x", reason="bad_signature"), 401),
        (ParseError("x"), 422),
        (Forbidden("x"), 403),
        (Forbidden("x", reason="unauthenticated"), 401),
        (Unavailable("x"), 503),
        (Unavailable("x", reason="timeout"), 504),
        (Unavailable("x", reason="disk_full"), 507),
        (Busy("x"), 503),
        (Corrupt("x"), 500),
        (SetupError("x"), 500),
        (SpectraError("x"), 500),
    ],
)
def test_statuses(error: SpectraError, status: int) -> None:
    """By reason where that says more than the class, else by class, else 500."""
    assert status_of(error) == status


def members(error: SpectraError, **more: object) -> tuple[dict[str, Any], dict[str, str]]:
    """The body and header fields of the answer to `error`."""
    response = problem(error, "r-1", **more)
    return json.loads(bytes(response.body)), dict(response.headers)


def test_the_members_of_rfc_9457() -> None:
    """type, title, status, detail; and ours: reason, request id, hint and what was added."""
    body, fields = members(NotFound("There is no such thing.", hint="Look elsewhere."), observation_id="ab")
    assert body == {
        "type": "urn:spectra:problem:not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no such thing.",
        "reason": "not_found",
        "request_id": "r-1",
        "hint": "Look elsewhere.",
        "observation_id": "ab",
    }
    assert fields["content-type"] == "application/problem+json"
    assert not {"retry-after", "www-authenticate"} & set(fields)


def test_a_problem_names_the_place() -> None:
    """Field, column and line where the error knows them, and no empty ones."""
    body, _ = members(BadRequest("x", field="q", column=3))
    assert (body["field"], body["column"]) == ("q", 3)
    assert "line" not in body
    body, _ = members(BadRequest("x"))
    assert not {"field", "column", "line"} & set(body)


@pytest.mark.parametrize(("wait", "field"), [(0.2, "1"), (1.0, "1"), (12.4, "13")])
def test_who_is_to_wait_is_told_how_long(wait: float, field: str) -> None:
    """`Retry-After` in whole seconds, rounded up so that nobody comes back too early; exactly in the body."""
    body, fields = members(RateLimited(wait))
    assert fields["retry-after"] == field
    assert body["retry_after"] == wait


def test_unavailable_is_worth_trying_again() -> None:
    """503 always carries `Retry-After`."""
    assert members(Unavailable("x"))[1]["retry-after"] == "2"
    assert members(Busy("x"))[1]["retry-after"] == "1"


def test_401_says_how_to_authenticate() -> None:
    """RFC 9110 section 15.5.2 demands the field, for signatures as for tokens."""
    for error in (Forbidden("x", reason="unauthenticated"), Rejected(Reason.BAD_SIGNATURE, "x")):
        assert members(error)[1]["www-authenticate"] == "Bearer"
    assert "www-authenticate" not in members(Forbidden("x"))[1]


def test_the_document_describes_what_is_sent() -> None:
    """Every member that an answer can have is in the schema."""
    body, _ = members(RateLimited(1.0), field="f", column=1, line=2, observation_id="ab")
    assert set(body) <= set(ProblemDetails.__struct_fields__)
