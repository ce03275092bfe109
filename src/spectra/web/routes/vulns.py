"""Weaknesses: CVEs that match a question, one with all that is known of it, and what it concerns here."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.model.similar import SimilarPage
from spectra.model.triage import JUSTIFICATIONS
from spectra.model.vulnrecords import VulnDetail, VulnHosts, VulnPage
from spectra.web.inside import Problem
from spectra.web.page import VisitDep, page, query
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "vulns"
_SHOWN: Final = 50
_ALIKE: Final = 20

Word = Annotated[str, Query(max_length=200)]
Cursor = Annotated[str, Query(max_length=4000)]


@router.get("/vulns", dependencies=[page("vulns:read")])
async def listed(
    visit: VisitDep,
    *,
    text: Annotated[str, Query(max_length=1000)] = "",
    severity: Word = "",
    min_cvss: Word = "",
    min_epss: Word = "",
    kev: Word = "",
    product: Word = "",
    year: Word = "",
    affecting: Word = "",
    published_since: Word = "",
    sort: Word = "",
    cursor: Cursor = "",
) -> Response:
    """By words and by what is known of them; without any, the riskiest first."""
    asked = {"text": text, "severity": severity, "min_cvss": min_cvss, "min_epss": min_epss, "kev": kev}
    asked |= {"product": product, "year": year, "affecting": affecting, "published_since": published_since}
    asked["sort"] = sort
    found, problem = VulnPage(()), None
    try:
        found = await visit.api.get(
            "/v0/vulns", VulnPage, **asked, cursor=cursor, limit=_SHOWN, total=None if cursor else True
        )
    except Problem as wrong:
        if wrong.status != 400:
            raise
        problem = wrong
    return await visit.render(
        "vulns.html",
        title="Weaknesses",
        at=_AT,
        status=problem.status if problem else 200,
        asked=asked,
        found=found,
        problem=problem,
        filtered=any(asked.values()),
        more=f"/vulns{query(**asked, cursor=found.next_cursor)}" if found.next_cursor else "",
        first=f"/vulns{query(**asked)}" if cursor else "",
    )


@router.get("/vulns/{cve}", dependencies=[page("vulns:read")])
async def one(visit: VisitDep, cve: str, cursor: Cursor = "") -> Response:
    """All that is known of it, and the endpoints that it concerns."""
    path = f"/v0/vulns/{segment(cve.upper())}"
    detail = await visit.api.get(path, VulnDetail)
    hosts = None
    if visit.can("findings:read"):
        hosts = await visit.api.get(f"{path}/hosts", VulnHosts, cursor=cursor, limit=_SHOWN)
    following = hosts.next_cursor if hosts else ""
    here = f"/vulns/{segment(detail.cve)}"
    return await visit.render(
        "vuln.html",
        title=detail.cve,
        at=_AT,
        one=detail,
        hosts=hosts,
        justifications=JUSTIFICATIONS,
        more=f"{here}{query(cursor=following)}#hosts" if following else "",
        first=f"{here}#hosts" if cursor else "",
    )


@router.get("/vulns/{cve}/similar", dependencies=[page("vulns:read")])
async def similar(visit: VisitDep, cve: str) -> Response:
    """Others that are like it, by words and by vectors."""
    found = await visit.api.get("/v0/vulns/similar", SimilarPage, cve=cve.upper(), k=_ALIKE)
    return await visit.render("vuln_similar.html", title=f"Like {cve.upper()}", at=_AT, cve=cve.upper(), found=found)
