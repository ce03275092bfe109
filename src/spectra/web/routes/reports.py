"""Reports: having one made, reading it, and finishing by hand what no model could."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.api import reportview
from spectra.model.reports import (
    FORMATS,
    STATES,
    Format,
    PatternPage,
    ReportDetail,
    ReportDocument,
    ReportPage,
    ReportRecord,
    ReviewDetail,
)
from spectra.web.forms import Form
from spectra.web.inside import Answer, Problem
from spectra.web.page import HEADERS, Visit, VisitDep, page, query
from spectra.web.records import linked
from spectra.web.reviews import Draft, drafts, sections_of
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "reports"
_SHOWN: Final = 50
_ROWS: Final = 40  # of each table of a report on its page
_FACTS: Final = 300

Word = Annotated[str, Query(max_length=100)]
Cursor = Annotated[str, Query(max_length=4000)]


@router.get("/reports", dependencies=[page("ai:read")])
async def listed(
    visit: VisitDep, *, state: Word = "", ip: Word = "", target: Word = "", cursor: Cursor = ""
) -> Response:
    """The newest first, and a form for another; `target` fills it."""
    asked = {"state": state, "ip": ip}
    return await _list(visit, asked, cursor=cursor, form=Form([("target", target)]))


async def _list(
    visit: Visit, asked: dict[str, str], *, cursor: str = "", form: Form, problem: Problem | None = None
) -> Response:
    found, patterns = await visit.api.together(
        visit.api.get("/v0/reports", ReportPage, **asked, cursor=cursor, limit=_SHOWN),
        visit.api.get("/v0/reports/patterns", PatternPage),
    )
    return await visit.render(
        "reports.html",
        title="Reports",
        at=_AT,
        status=problem.status if problem else 200,
        asked=asked,
        reports=found.reports,
        patterns=patterns.patterns,
        states=STATES,
        form=form,
        problem=problem,
        more=f"/reports{query(**asked, cursor=found.next_cursor)}" if found.next_cursor else "",
        first=f"/reports{query(**asked)}" if cursor else "",
    )


@router.post("/reports", dependencies=[page("ai:ask")])
async def ask(visit: VisitDep) -> Response:
    """Have one made, in the background."""
    form = await visit.form()
    body: dict[str, Any] = {name: form.one(name) for name in ("target", "pattern", "question")}
    body["rules"] = form.has("rules")
    try:
        made = await visit.api.send("POST", "/v0/reports", ReportRecord, body, once=form.key)
    except Problem as problem:
        if problem.status not in (400, 404, 422):
            raise
        return await _list(visit, {}, form=form, problem=problem)
    return visit.go(f"/reports/{segment(made.id)}", "The report is being made. This page shows it when it is there.")


@router.get("/reports/review", dependencies=[page("ai:read")])
async def queue(visit: VisitDep, cursor: Cursor = "") -> Response:
    """Those that a person has to finish."""
    found = await visit.api.get("/v0/reports/review", ReportPage, cursor=cursor, limit=_SHOWN)
    return await visit.render(
        "reports_review.html",
        title="Reports to finish",
        at=_AT,
        reports=found.reports,
        more=f"/reports/review{query(cursor=found.next_cursor)}" if found.next_cursor else "",
        first="/reports/review" if cursor else "",
    )


@router.get("/reports/{report}", dependencies=[page("ai:read")])
async def one(visit: VisitDep, report: str) -> Response:
    """How it stands, and what it says as soon as it says something."""
    detail = await visit.api.get(f"/v0/reports/{segment(report)}", ReportDetail)
    view = None
    if detail.sha256:
        view = reportview.shown((await _content(visit, report, "json")).body)
    return await visit.render(
        "report.html",
        title=detail.title or f"Report on {detail.target}",
        at=_AT,
        one=detail,
        view=view,
        rows=_ROWS,
        formats=FORMATS,
        linked=linked,
        running=detail.state in ("waiting", "running"),
    )


@router.get("/reports/{report}/content", dependencies=[page("ai:read")])
async def content(visit: VisitDep, report: str, format: Annotated[Format, Query()] = "json") -> Response:
    """The report as a file."""
    answer = await _content(visit, report, format)
    headers = {**HEADERS, "content-security-policy": answer.headers.get("content-security-policy", "sandbox")}
    headers["content-disposition"] = f'attachment; filename="{segment(report)}.{format}"'
    return Response(answer.body, headers=headers, media_type=answer.headers["content-type"])


async def _content(visit: Visit, report: str, form: Format) -> Answer:
    answer = await visit.api.raw("GET", f"/v0/reports/{segment(report)}/content", params={"format": form})
    if answer.status != 200:
        await visit.api.get(f"/v0/reports/{segment(report)}/content", dict[str, Any], format=form)  # raises its problem
    return answer


@router.get("/reports/{report}/review", dependencies=[page("ai:read")])
async def review(visit: VisitDep, report: str) -> Response:
    """All that is needed to finish one by hand."""
    return await _review(visit, report)


async def _review(
    visit: Visit, report: str, *, given: dict[str, Draft] | None = None, problem: Problem | None = None
) -> Response:
    detail = await visit.api.get(f"/v0/reports/{segment(report)}/review", ReviewDetail)
    document: ReportDocument = detail.document
    written = drafts(document, {fact.record: fact.ref for fact in detail.facts}) | (given or {})
    return await visit.render(
        "report_review.html",
        title=f"Finish the report on {document.target}",
        at=_AT,
        status=problem.status if problem else 200,
        one=detail.report,
        document=document,
        facts=detail.facts[:_FACTS],
        facts_total=len(detail.facts),
        drafts=[written[section.id] for section in document.sections],
        linked=linked,
        problem=problem,
    )


@router.post("/reports/{report}/finish", dependencies=[page("ai:write")])
async def finish(visit: VisitDep, report: str) -> Response:
    """What a person wrote becomes a version of its own."""
    form = await visit.form()
    given = sections_of(form)
    body = {"sections": {name: draft.statements for name, draft in given.items()}, "note": form.one("comment")[:1000]}
    try:
        made = await visit.api.send("POST", f"/v0/reports/{segment(report)}/finish", ReportRecord, body)
    except Problem as problem:
        if problem.status not in (400, 409, 422):
            raise
        return await _review(visit, report, given=given, problem=problem)
    return visit.go(f"/reports/{segment(made.id)}", "Finished. This is the version that you completed.")
