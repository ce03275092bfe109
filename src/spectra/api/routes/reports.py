"""Reports: asking for one, reading it in any of its forms, and finishing by hand what no model could."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from spectra.ai.patterns import loading
from spectra.ai.patterns.loading import BadPattern
from spectra.ai.reports import rendering, targets
from spectra.api.answers import a_problem, answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.repeats import KeyHeader, id_of
from spectra.api.routes.hosts import canonical
from spectra.api.services import Services
from spectra.api.tiers import pro
from spectra.errors import Unavailable
from spectra.flow.reportflow import ReportJob
from spectra.model.reports import (
    Finish,
    Format,
    PatternCheck,
    PatternFiles,
    PatternPage,
    ReportDetail,
    ReportPage,
    ReportRecord,
    ReportRequest,
    ReviewDetail,
    State,
)
from spectra.store import reports
from spectra.store.accounts import Act

router = APIRouter(tags=["reports"])

MAX_PATTERN_BYTES: Final = 1024 * 1024
_TELLS: Final = (400, 401, 402, 403, 404)
_CURSOR: Final = "`next_cursor` of the page before"

ReportPath = Annotated[str, Path(pattern="^report-[0-9a-f]{20}$", description="The report's id.")]
CursorQuery = Annotated[str, Query(max_length=200, description=_CURSOR)]
LimitQuery = Annotated[int, Query(ge=1, le=1000)]


@router.post(
    "/v0/reports",
    summary="Have a report made",
    status_code=202,
    dependencies=[scope("ai:ask"), pro()],
    responses=described(ReportRecord, *_TELLS, 408, 413, status=202),
    openapi_extra=described_body(ReportRequest),
    response_class=Response,
)
def ask(
    request: Request,
    services: ServicesDep,
    wanted: Annotated[ReportRequest, json_body(ReportRequest)],
    idempotency_key: KeyHeader = "",
) -> Response:
    """On a host, a name, a network or a query, made in the background: `GET /v0/reports/{id}` tells how it stands.

    What is found stands there whatever happens. The sections in words are a model's, each sentence of which cites
    facts; without a model they are drawn by fixed rules, and say so.
    """
    act = _act(request, services)
    target = targets.read(wanted.target, act.now, wanted.kind)
    report = id_of("report", act.by, idempotency_key)
    made = _job(services).ask(target, wanted.pattern, wanted.question, act, rules=wanted.rules, report=report)
    return answer(made, 202)


@router.get(
    "/v0/reports",
    summary="Reports, newest first",
    dependencies=[scope("ai:read"), pro()],
    responses=described(ReportPage, 400, 401, 402, 403),
    response_class=Response,
)
def newest(
    services: ServicesDep,
    *,
    state: Annotated[State | None, Query(description="only reports in this state")] = None,
    target: Annotated[str, Query(max_length=1000, description="only reports on this very target")] = "",
    ip: Annotated[str, Query(max_length=100, description="only reports that tell of this host")] = "",
    pattern: Annotated[str, Query(max_length=60, description="only reports by this pattern")] = "",
    cursor: CursorQuery = "",
    limit: LimitQuery = 100,
) -> Response:
    """Every version of each; the documents stand at `/v0/reports/{id}/content`."""
    found, following = reports.page(
        services.database,
        state=state or "",
        target=target,
        ip=canonical(ip) if ip else "",
        pattern=pattern,
        limit=limit,
        cursor=cursor,
    )
    return answer(ReportPage(found, following))


@router.get(
    "/v0/reports/review",
    summary="Reports that a person has to finish",
    dependencies=[scope("ai:read"), pro()],
    responses=described(ReportPage, 400, 401, 402, 403),
    response_class=Response,
)
def review(services: ServicesDep, *, cursor: CursorQuery = "", limit: LimitQuery = 100) -> Response:
    """No answer of any attempt held; `/v0/reports/{id}/review` has all that is needed to go on."""
    found, following = reports.page(services.database, state="incomplete", limit=limit, cursor=cursor)
    return answer(ReportPage(found, following))


@router.get(
    "/v0/reports/patterns",
    summary="Patterns that reports are made by",
    dependencies=[scope("ai:read")],
    responses=described(PatternPage, 401, 403),
    response_class=Response,
)
def patterns(services: ServicesDep) -> Response:
    """The built-in ones, and those of this node's folders."""
    known = _job(services).reporter.patterns
    return answer(PatternPage(tuple(pattern.record for pattern in known.values())))


@router.post(
    "/v0/reports/patterns/check",
    summary="Check a pattern",
    dependencies=[scope("ai:read")],
    responses=described(PatternCheck, 400, 401, 403, 408, 413),
    openapi_extra=described_body(PatternFiles),
    response_class=Response,
)
def check(given: Annotated[PatternFiles, json_body(PatternFiles, MAX_PATTERN_BYTES)]) -> Response:
    """Whether the files hold together, and what their tests find. Nothing is kept."""
    try:
        checked = loading.check(loading.read(given.name, given.files, f"{given.name}/"))
    except BadPattern as error:
        return answer(PatternCheck(False, 0, (error.message,)))
    return answer(PatternCheck(not checked.problems, checked.examples, checked.problems))


@router.get(
    "/v0/reports/{report}",
    summary="One report",
    dependencies=[scope("ai:read"), pro()],
    responses=described(ReportDetail, *_TELLS),
    response_class=Response,
)
def one(services: ServicesDep, report: ReportPath) -> Response:
    """How it stands, its hosts and scans, and every attempt at it."""
    return answer(reports.detail(services.database, report)[0])


_CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The report. `ETag` is the SHA-256 of its document.",
        "content": {
            kind: {"schema": {"type": "string"}}
            for kind in ("application/json", "text/markdown", "text/html", "application/pdf")
        },
    },
    **{status: a_problem() for status in (*_TELLS, 501, 503, 504)},
}


@router.get(
    "/v0/reports/{report}/content",
    summary="A report as Markdown, HTML, PDF or JSON",
    dependencies=[scope("ai:read"), pro()],
    responses=_CONTENT,
    response_class=Response,
)
def content(
    services: ServicesDep,
    report: ReportPath,
    format: Annotated[
        Format, Query(description="`json` is the document itself, byte by byte as it was stored")
    ] = "json",
) -> Response:
    """Also of one that is incomplete; it says so then. What is private in a report is in it: keep it accordingly."""
    reporter = _job(services).reporter
    data = reporter.content(report)
    rendered = rendering.render(data, format)
    digest = reports.get(services.database, report).sha256
    headers = {
        "etag": f'"{digest}"',
        "content-disposition": f'inline; filename="{report}.{format}"',
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    }
    return Response(rendered, media_type=rendering.MEDIA_TYPES[format], headers=headers)


@router.get(
    "/v0/reports/{report}/review",
    summary="All that is needed to finish a report by hand",
    dependencies=[scope("ai:read"), pro()],
    responses=described(ReviewDetail, *_TELLS),
    response_class=Response,
)
def review_one(services: ServicesDep, report: ReportPath) -> Response:
    """The document as it is, the facts with their references, what was asked, how the sections have to look, and every
    answer with what did not hold about it.
    """
    return answer(_job(services).reporter.review(report))


@router.post(
    "/v0/reports/{report}/finish",
    summary="Finish a report by hand",
    dependencies=[scope("ai:write"), pro()],
    responses=described(ReportRecord, *_TELLS, 408, 413),
    openapi_extra=described_body(Finish),
    response_class=Response,
)
def finish(
    request: Request, services: ServicesDep, report: ReportPath, given: Annotated[Finish, json_body(Finish)]
) -> Response:
    """Sections that are given take the place of what stands there; the outcome is a version of its own, marked as a
    person's. What there was before stays as it is.
    """
    new = f"report-{secrets.token_hex(10)}"
    return answer(_job(services).reporter.finish(report, new, given, _act(request, services)))


def _job(services: Services) -> ReportJob:
    if services.reports is None:
        raise Unavailable("This node makes no reports.", reason="ai_off")
    return services.reports


def _act(request: Request, services: Services) -> Act:
    return Act(caller_of(request).contributor, services.clock())
