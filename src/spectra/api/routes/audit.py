"""What those with privileges did, from the provenance chain."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.errors import BadRequest
from spectra.model.limits import Act
from spectra.store import audit_trail

router = APIRouter(tags=["provenance"])


class Acts(msgspec.Struct, omit_defaults=True):
    """Privileged acts, newest first; `next_cursor` is opaque and left out on the last page."""

    acts: list[Act]
    next_cursor: str = ""


@router.get(
    "/v0/audit",
    summary="Privileged acts, newest first",
    dependencies=[scope("audit:read")],
    responses=described(Acts, 400, 401, 403, 500),
    response_class=Response,
)
def acts(
    services: ServicesDep,
    kind: Annotated[str, Query(max_length=100, description="one kind, as `block.added`, or a noun, as `key`")] = "",
    subject: Annotated[str, Query(max_length=200, description="what it is about: the id of a key, a block ...")] = "",
    cursor: Annotated[str, Query(max_length=20, description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Every entry of the provenance chain that is no submission: keys, tokens, blocks, what is never scanned."""
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise BadRequest("This cursor was not made here.", field="cursor", hint="Start again without one.")
    before = int(cursor) if cursor else None
    found = audit_trail.acts(services.database, kind=kind, subject=subject, before=before, limit=limit + 1)
    page = list(found[:limit])
    return answer(Acts(page, str(page[-1].seq) if len(found) > limit else ""))
