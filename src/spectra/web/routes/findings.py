"""Findings: which endpoints have which weaknesses, why, and what people decided about them."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.errors import BadRequest
from spectra.model.findingrecords import FindingDetail, FindingPage, FindingSummary, read_id
from spectra.model.triage import JUSTIFICATIONS, Decided, DecisionPage, DecisionRecord
from spectra.web.forms import Form
from spectra.web.inside import Problem
from spectra.web.next import own_path
from spectra.web.page import Visit, VisitDep, page, query
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "findings"
_SHOWN: Final = 50
_TICKED: Final = 100  # findings that fit into the address of a page
_SAID: Final = (400, 404, 409, 422)

Word = Annotated[str, Query(max_length=64)]
Cursor = Annotated[str, Query(max_length=4000)]


@router.get("/findings", dependencies=[page("findings:read")])
async def listed(
    visit: VisitDep,
    *,
    q: Annotated[str, Query(max_length=10_000)] = "",
    state: Word = "",
    level: Word = "",
    patched: Word = "",
    triaged: Word = "",
    min_priority: Word = "",
    since: Word = "",
    sort: Word = "",
    cursor: Cursor = "",
) -> Response:
    """The most urgent first, with boxes to decide about several at once."""
    asked = {"q": q, "state": state, "level": level, "patched": patched, "triaged": triaged}
    asked |= {"min_priority": min_priority, "since": since, "sort": sort}
    (found, problem), counts = await visit.api.together(
        _found(visit, asked, cursor), visit.api.get("/v0/findings/summary", FindingSummary)
    )
    return await visit.render(
        "findings.html",
        title="Findings",
        at=_AT,
        status=problem.status if problem else 200,
        asked=asked,
        findings=found.findings,
        counts=counts,
        problem=problem,
        justifications=JUSTIFICATIONS,
        more=f"/findings{query(**asked, cursor=found.next_cursor)}" if found.next_cursor else "",
        first=f"/findings{query(**asked)}" if cursor else "",
    )


async def _found(visit: Visit, asked: dict[str, str], cursor: str) -> tuple[FindingPage, Problem | None]:
    """A page of findings, or what is wrong with the question."""
    try:
        return await visit.api.get("/v0/findings", FindingPage, **asked, cursor=cursor, limit=_SHOWN), None
    except Problem as problem:
        if problem.status != 400:
            raise
        return FindingPage(()), problem


@router.get("/findings/decide", dependencies=[page("findings:write")])
async def deciding(
    visit: VisitDep,
    ticked: Annotated[list[str] | None, Query(alias="id", max_length=_TICKED)] = None,
    back: Annotated[str, Query(alias="next", max_length=2000)] = "",
) -> Response:
    """What is decided about findings that were ticked on another page."""
    return await visit.render(
        "findings_decide.html",
        title="Decide about findings",
        at=_AT,
        keys=[read_id(one) for one in ticked or ()],
        back=own_path(back, "/findings"),
        justifications=JUSTIFICATIONS,
    )


@router.post("/findings/triage", dependencies=[page("findings:write")])
async def decide(visit: VisitDep) -> Response:
    """One decision about all that are ticked, or about a CVE wherever it is."""
    form = await visit.form()
    back = own_path(form.one("next"), "/findings")
    ids, cve = form.all("id"), form.one("cve")
    if not ids and not cve:
        return visit.go(back, "Tick the findings to decide about first.", bad=True)
    body = _decision(form)
    about = {"findings": list(dict.fromkeys(ids))} if ids else {"cve": cve, "q": form.one("q")}
    try:
        made = await visit.api.send("POST", "/v0/triage", Decided, body | about)
    except Problem as problem:
        return _refused(visit, problem, back)
    return visit.go(back, _told(made, body.get("status", "")))


def _decision(form: Form) -> dict[str, str]:
    fields = {name: form.one(name) for name in ("status", "scope", "justification", "note", "until")}
    return {name: value for name, value in fields.items() if value}


def _refused(visit: Visit, problem: Problem, back: str) -> Response:
    if problem.status not in _SAID:
        raise problem
    return visit.go(back, f"{problem.detail} {problem.hint}".strip(), bad=True)


def _told(made: Decided, status: str) -> str:
    count = len(made.decisions)
    said = f"{count} decision{'s' if count != 1 else ''}: {status.replace('_', ' ')}."
    if made.replaced:
        said += f" {len(made.replaced)} took the place of an earlier one."
    return said + (f" {made.unchanged} said so before." if made.unchanged else "")


@router.get("/findings/decisions", dependencies=[page("findings:read")])
async def decisions(
    visit: VisitDep,
    *,
    state: Word = "standing",
    cve: Word = "",
    by: Annotated[str, Query(max_length=200)] = "",
    cursor: Cursor = "",
) -> Response:
    """What was decided, the newest first."""
    asked = {"state": state, "cve": cve, "by": by}
    found = await visit.api.get("/v0/triage", DecisionPage, **asked, cursor=cursor, limit=_SHOWN)
    return await visit.render(
        "decisions.html",
        title="Decisions about findings",
        at=_AT,
        asked=asked,
        decisions=found.decisions,
        more=f"/findings/decisions{query(**asked, cursor=found.next_cursor)}" if found.next_cursor else "",
        first=f"/findings/decisions{query(**asked)}" if cursor else "",
    )


@router.post("/findings/decisions/{decision}/remove", dependencies=[page("findings:write")])
async def take_back(visit: VisitDep, decision: str) -> Response:
    """The finding is open again, unless a wider decision holds."""
    form = await visit.form()
    back = own_path(form.one("next"), "/findings/decisions")
    try:
        gone = await visit.api.send("DELETE", f"/v0/triage/{segment(decision)}", DecisionRecord)
    except Problem as problem:
        return _refused(visit, problem, back)
    return visit.go(back, f"Taken back: {gone.status.replace('_', ' ')} for {gone.target}.")


@router.get("/findings/{finding}", dependencies=[page("findings:read")])
async def one(visit: VisitDep, finding: str, at: Word = "") -> Response:
    """Why it is one, its past, and all that is known of the CVE."""
    found, standing = await visit.api.together(
        visit.api.get(f"/v0/findings/{segment(finding)}", FindingDetail, at=at),
        visit.api.get("/v0/triage", DecisionPage, cve=_cve(finding), limit=_SHOWN),
    )
    here = [one for one in standing.decisions if one.ip in ("", found.ip) and one.port in (None, found.port)]
    return await visit.render(
        "finding.html",
        title=f"{found.cve} at {found.ip}",
        at=_AT,
        one=found,
        decisions=here,
        justifications=JUSTIFICATIONS,
    )


def _cve(finding: str) -> str:
    try:
        return read_id(finding).cve
    except BadRequest:
        return ""
