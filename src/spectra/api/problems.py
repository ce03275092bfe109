"""The one table from errors to HTTP: RFC 9457 problem details."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.responses import Response

from spectra.errors import BadRequest, Corrupt, NotFound, SpectraError, Unavailable
from spectra.identity.errors import IdentityError
from spectra.ingest.gate import Rejected
from spectra.ingest.parsers import ParseError

MEDIA_TYPE: Final = "application/problem+json"

# By reason where it says more than the class.
_BY_REASON: Final[dict[str, int]] = {
    "envelope_too_large": 413,
    "too_large": 413,
    "body_too_slow": 408,
    "no_such_path": 404,
    "method_not_allowed": 405,
    "http_error": 400,
    "unknown_key": 401,
    "bad_signature": 401,
    "key_revoked": 401,
    "key_expired": 401,
    "contributor_mismatch": 403,
    "role_forbidden": 403,
    "nonce_replayed": 409,
    "key_exists": 409,
    "role_conflict": 409,
    "account_exists": 409,
    "account_disabled": 403,
    "role_in_use": 409,
    "factor_exists": 409,
    "setup_over": 409,
    "rate_limited": 429,
    "timeout": 504,
    "disk_full": 507,
    "unauthenticated": 401,
    "forbidden": 403,
    "blocked": 403,
    "block_exists": 409,
    "request_decided": 409,
    "busy": 503,
    "pro_required": 402,
    "outlet_off": 409,
    "delivered": 409,
    "too_many_outlets": 409,
    "vex_older": 409,
    "vex_superseded": 409,
    "mesh_off": 409,
    "revoked": 403,
    "name_mismatch": 403,
    "name_taken": 409,
    "node_revoked": 409,
    "not_joined": 409,
    "unknown_token": 401,
    "token_expired": 401,
    "token_revoked": 401,
    "token_used": 401,
    "ca_external": 409,
    "ca_rotating": 409,
    "own_node": 409,
    "impostor": 403,
    "out_of_scope": 403,
    "forbidden_name": 403,
    "certificate_expired": 401,
    "certificate_not_yet": 401,
    "unknown_member": 401,
    "no_challenge": 409,
    "work_off": 409,
    "fetch_off": 409,
    "too_much_work": 409,
    "job_ended": 409,
    "machine_revoked": 403,
    "ai_deadline": 504,
    "ai_budget": 429,
    "ai_refused": 422,
    "no_pdf": 501,
    "report_settled": 409,
    "unknown_pattern": 409,
    "too_many_searches": 409,
    "feed_corrupt": 422,
    "feed_unknown": 422,
    "feed_unreadable": 422,
    "feed_provider": 422,
    "feed_too_large": 413,
    "feed_fetch_failed": 424,
    "feed_url_refused": 403,
    "feed_empty": 422,
    "feed_shrunk": 409,
    "feed_other_kind": 409,
    "feed_no_source": 409,
    "feed_no_previous": 409,
    "rule_exists": 409,
    "too_many_rules": 409,
    "too_many_mutes": 409,
    "alert_over": 409,
}
_BY_CLASS: Final[tuple[tuple[type[SpectraError], int], ...]] = (
    (NotFound, 404),
    (Rejected, 400),
    (ParseError, 422),
    (BadRequest, 400),
    (IdentityError, 400),
    (Unavailable, 503),
    (Corrupt, 500),
)


class Forbidden(SpectraError):
    """The caller may not do this; `reason` is `unauthenticated` or `forbidden`."""

    reason = "forbidden"


class MeshOff(SpectraError):
    """This coordinator holds no mesh, so that nothing can be decided about its machines."""

    reason = "mesh_off"


class WorkOff(SpectraError):
    """This coordinator hands out no scans."""

    reason = "work_off"


class ProRequired(SpectraError):
    """This belongs to Pro, and the caller is Free."""

    reason = "pro_required"


class Busy(Unavailable):
    """The bounded queue of submissions is full."""

    reason = "busy"
    retry_after_s = 1.0


def status_of(error: SpectraError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, NotFound):
        return 404
    if error.reason in _BY_REASON:
        return _BY_REASON[error.reason]
    return next((status for kind, status in _BY_CLASS if isinstance(error, kind)), 500)


def problem(error: SpectraError, request_id: str, /, **members: object) -> Response:
    """The answer to a request that failed with `error`; `members` are added as they are."""
    status = status_of(error)
    body: dict[str, Any] = {
        "type": f"urn:spectra:problem:{error.reason}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.message,
        "reason": error.reason,
        "request_id": request_id,
    }
    if error.hint:
        body["hint"] = error.hint
    body |= {name: value for name in ("field", "column", "line") if (value := getattr(error, name, None))}
    if tried := getattr(error, "tried", ()):
        body["tried"] = [f"{name}: {why}" for name, why in tried]
    body |= members
    headers: dict[str, str] = {}
    wait: float = getattr(error, "retry_after_s", 0.0)
    if error.retryable and wait:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
        body["retry_after"] = wait
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(body), status_code=status, headers=headers, media_type=MEDIA_TYPE)
