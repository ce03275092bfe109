"""What is different between two moments or two scans."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.selectors import query_of
from spectra.api.tiers import pro_fields, sees_findings
from spectra.errors import BadRequest
from spectra.model import times
from spectra.model.diffs import DiffPage
from spectra.store.diff import Window, diff
from spectra.store.scandiff import scandiff

router = APIRouter(tags=["hosts"])

_OWN: Final = frozenset({"from", "to", "q", "kind", "cursor", "limit"})
_SCAN: Final = "scan:"
_HINT: Final = "Write 7d, yesterday, 2026-03-01T12:00:00Z, or two scan ids."


@router.get(
    "/v0/diff",
    summary="What is new, gone or changed between two moments or two scans",
    dependencies=[scope("hosts:read"), pro_fields()],
    responses=described(DiffPage, 400, 401, 403, 404),
    response_class=Response,
)
def differences(
    request: Request,
    services: ServicesDep,
    since: Annotated[str, Query(alias="from", description="a time, a span (`7d`: so long ago) or a scan id")],
    to: Annotated[str, Query(description="a time or span, or the other scan's id")] = "now",
    q: Annotated[str, Query(description="only endpoints that satisfy this, before or after")] = "",
    kind: Annotated[Literal["", "new", "gone", "changed"], Query(description="only entries of this kind")] = "",
    cursor: Annotated[str, Query(description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Two times compare what was known of the graph; endpoints that nobody looked at again are not gone.

    Two scan ids (`scan:` in front of one that looks like a time) compare what both looked at. The query holds for an
    endpoint as it is at the later moment or as it was at the earlier one. A page may be short: follow `next_cursor`.
    Callers who are Pro and hold `findings:read` are told which findings came and went.
    """
    now = services.clock()
    query = query_of(request, q, now, _OWN)
    compared, told = _compared(since, to, now), sees_findings(request)
    if isinstance(compared, Window):
        page = diff(services.database, compared, query, kind=kind, cursor=cursor, limit=limit, findings=told)
    else:
        page = scandiff(services.database, compared, query, kind=kind, cursor=cursor, limit=limit, findings=told)
    return answer(page if told else msgspec.structs.replace(page, findings_hidden=True))


def _compared(since: str, to: str, now: datetime) -> Window | tuple[str, str]:
    """Two moments, or two scan ids. Raises `BadRequest` for one of each, and for what can be neither."""
    start, end = _moment(since, "from", now), _moment(to, "to", now)
    if start and end:
        return Window(start, end)
    if start or (end and to == "now"):
        field, text = ("to", to) if start else ("from", since)
        raise BadRequest(f"{text[:80]!r} is not a time.", field=field, hint=_HINT)
    if end:
        raise BadRequest("One is a scan and the other a time.", field="to", hint=_HINT)
    for field, text in (("from", since), ("to", to)):
        if not text.removeprefix(_SCAN).strip() or "\0" in text:
            raise BadRequest(f"{field} is neither a time nor a scan id.", field=field, hint=_HINT)
    return since.removeprefix(_SCAN), to.removeprefix(_SCAN)


def _moment(text: str, field: str, now: datetime) -> datetime | None:
    """`text` as a time; None if it is none, and might be a scan id."""
    if text.startswith(_SCAN):
        return None
    try:
        # A `+` of a time zone that was not percent-encoded arrives as a space.
        return times.moment(text.replace(" ", "+") if "T" in text else text, now)
    except ValueError:
        return None
    except OverflowError as error:
        raise BadRequest(f"{text[:80]!r} is before all calendars.", field=field, hint=_HINT) from error
