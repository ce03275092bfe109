"""Findings: which endpoints have which weaknesses, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.routes.hosts import moment
from spectra.api.selectors import query_of
from spectra.api.tiers import pro
from spectra.errors import BadRequest
from spectra.flow.judging import JUDGE
from spectra.model import times
from spectra.model.findinglife import State
from spectra.model.findingrecords import LEVELS, FindingDetail, FindingPage, FindingSummary, Level, read_id
from spectra.store import findingcounts
from spectra.store.findingask import Filters
from spectra.store.findinglist import findings
from spectra.store.hostfindings import finding

router = APIRouter(tags=["findings"])

_OWN: Final = frozenset(
    {"q", "state", "since", "min_priority", "patched", "level", "triaged", "sort", "cursor", "limit"}
)
_STATES: Final[dict[str, tuple[State, ...]]] = {
    "new": ("new",),
    "reopened": ("reopened",),
    "open": (),
    "closed": ("closed",),
}


@router.get(
    "/v0/findings",
    summary="Findings of all hosts",
    dependencies=[scope("findings:read"), pro()],
    responses=described(FindingPage, 400, 401, 403),
    response_class=Response,
)
def listed(
    request: Request,
    services: ServicesDep,
    q: Annotated[str, Query(description="such as `severity:critical kev:true net:10.0.0.0/8 product:openssh`")] = "",
    state: Annotated[
        Literal["open", "new", "reopened", "closed"],
        Query(description="`open`: all that are; new ones or reopened ones alone; those that are not there any more"),
    ] = "open",
    since: Annotated[str, Query(description="opened, known or closed since: `7d`, `2026-03-01`")] = "",
    min_priority: Annotated[float | None, Query(ge=0, le=100, description="of the score that is shown")] = None,
    patched: Annotated[
        Literal["", "no", "possibly"], Query(description="only what no distribution may have repaired, or only that")
    ] = "",
    level: Annotated[str, Query(description="how sure: confirmed, likely, possible, or several of them")] = "",
    triaged: Annotated[
        Literal["none", "only", "all"],
        Query(description="without what is accepted, a false positive, not affected or fixed; that alone; or both"),
    ] = "none",
    sort: Annotated[str, Query(description="priority, cvss, epss or opened")] = "priority",
    cursor: Annotated[str, Query(description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The most urgent first. Terms about weaknesses (`vuln`, `severity`, `cvss`, `epss`, `kev`) are about the finding
    itself, all others about its endpoint; each may also be given as a parameter of its name.

    A page may be short: follow `next_cursor`. `priority` sorts by the score that a finding has at an address of the
    Internet; `opened` by when the version that the endpoint is in began. Closed ones come by when they closed, the last
    first; of those that a source took back, only where the endpoint has not changed since.
    """
    now = services.clock()
    filters = Filters(
        query=query_of(request, q, now, _OWN),
        min_priority=min_priority,
        states=_STATES[state],
        since=_since(since, now),
        patched={"no": False, "possibly": True}.get(patched),
        levels=_levels(level),
        triaged=triaged,
    )
    return answer(findings(services.database, filters, JUDGE, now, sort=sort, cursor=cursor, limit=limit))


@router.get(
    "/v0/findings/summary",
    summary="How many findings are open, and of what kind",
    dependencies=[scope("findings:read"), pro()],
    responses=described(FindingSummary, 401, 403),
    response_class=Response,
)
def counted(services: ServicesDep) -> Response:
    """By severity, known to be exploited, new within 7 days, and on how many hosts; without what triage settled."""
    return answer(findingcounts.summary(services.database, services.clock()))


@router.get(
    "/v0/findings/{id}",
    summary="One finding: why it is one, its past, and all that is known of the CVE",
    dependencies=[scope("findings:read"), pro()],
    responses=described(FindingDetail, 400, 401, 403, 404),
    response_class=Response,
)
def detailed(
    services: ServicesDep,
    id: str,
    at: Annotated[str, Query(description="RFC 3339: as it was known to be then")] = "",
) -> Response:
    """The id is `IP~PORT~PROTOCOL~CVE`. One that is closed can be asked for as well."""
    return answer(finding(services.database, read_id(id), JUDGE, services.clock(), at=moment(at)))


def _since(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        # A `+` of a time zone that was not percent-encoded arrives as a space.
        return times.moment(text.replace(" ", "+") if "T" in text else text, now)
    except (ValueError, OverflowError) as error:
        hint = "Write 7d, yesterday or 2026-03-01T12:00:00Z."
        raise BadRequest(f"{text[:80]!r} is not a time.", field="since", hint=hint) from error


def _levels(text: str) -> tuple[Level, ...]:
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if wrong := next((word for word in words if word not in LEVELS), ""):
        raise BadRequest(f'"{wrong[:40]}" is no level.', field="level", hint=f"Levels are {', '.join(LEVELS)}.")
    return tuple(level for level in LEVELS if level in words)
