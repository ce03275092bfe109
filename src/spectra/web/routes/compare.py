"""Two moments of a host side by side, and what is different between two moments of all that a query finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.errors import BadRequest
from spectra.model import times
from spectra.model.diffs import DiffPage
from spectra.model.records import HostRecord
from spectra.web.comparing import compared
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page, query
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_WEEK: Final = timedelta(days=7)
_SHOWN: Final = 50
_HOSTS: Final = 30

FromQuery = Annotated[str, Query(alias="from", max_length=200)]
TextQuery = Annotated[str, Query(max_length=200)]


@router.get("/hosts/{ip}/compare", dependencies=[page("hosts:read")])
async def compare(visit: VisitDep, ip: str, start: FromQuery = "", to: TextQuery = "") -> Response:
    """The host as it was known to be at either moment; without any, a week ago and now."""
    now = datetime.now(UTC)
    earlier, later = sorted((_moment(start, "from", now) or now - _WEEK, _moment(to, "to", now) or now))
    before, after = await visit.api.together(_then(visit, ip, earlier), _then(visit, ip, later))
    if after is None:
        raise _unseen(ip, later)
    return await visit.render(
        "host_compare.html",
        title=f"{after.ip} at two moments",
        at="search",
        ip=after.ip,
        start=earlier,
        end=later,
        asked=(start, to),
        before=before,
        after=after,
        found=compared(before, after),
        shown=_SHOWN,
    )


async def _then(visit: Visit, ip: str, at: datetime) -> HostRecord | None:
    """The host as it was; None where it had not been seen by then. One that nobody ever saw is a problem."""
    try:
        return await visit.api.get(f"/v0/host/{segment(ip)}", HostRecord, at=at.isoformat())
    except Problem as problem:
        if problem.status == 404 and "had not been seen" in problem.detail:
            return None
        raise


def _unseen(ip: str, at: datetime) -> BadRequest:
    """The error for two moments before a host was seen."""
    return BadRequest(f"{ip} had not been seen by {at:%Y-%m-%d %H:%M}.", field="to", hint="Take a later moment.")


def _moment(text: str, field: str, now: datetime) -> datetime | None:
    if not text.strip():
        return None
    try:
        # A `+` of a time zone that was not percent-encoded arrives as a space.
        return times.moment(text.strip().replace(" ", "+") if "T" in text else text.strip(), now)
    except (ValueError, OverflowError) as error:
        hint = "Write 7d, yesterday, 2026-03-01 or 2026-03-01T12:00."
        raise BadRequest(f"{text[:80]!r} is not a time.", field=field, hint=hint) from error


@router.get("/diff", dependencies=[page("hosts:read")])
async def diff(
    visit: VisitDep,
    *,
    start: FromQuery = "7d",
    to: TextQuery = "now",
    q: Annotated[str, Query(max_length=10_000)] = "",
    kind: Literal["", "new", "gone", "changed"] = "",
    cursor: Annotated[str, Query(max_length=4000)] = "",
) -> Response:
    """What is new, gone or changed between two moments or two scans."""
    asked = {"from": start or "7d", "to": to or "now", "q": q, "kind": kind}
    found: DiffPage | None = None
    problem: Problem | None = None
    try:
        found = await visit.api.get("/v0/diff", DiffPage, **asked, cursor=cursor, limit=_SHOWN)
    except Problem as wrong:
        if wrong.status not in (400, 402, 404):
            raise
        problem = wrong
    return await visit.render(
        "diff.html",
        title="Changes",
        at="diff",
        status=problem.status if problem else 200,
        asked=asked,
        found=found,
        problem=problem,
        hosts=_HOSTS,
        more=f"/diff{query(**asked, cursor=found.next_cursor)}" if found and found.next_cursor else "",
        first=f"/diff{query(**asked)}" if cursor else "",
    )
