"""Weaknesses: CVEs that match a question, one with all that is known of it, and what it concerns."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.limits import limited
from spectra.api.tiers import pro
from spectra.errors import BadRequest
from spectra.intel.correlate import word
from spectra.model import vulnquery
from spectra.model.fields import suggest
from spectra.model.times import moment
from spectra.model.vulnquery import VulnQuery
from spectra.model.vulnrecords import VulnDetail, VulnHosts, VulnPage
from spectra.store import vulndetail, vulnsearch
from spectra.store.vulnsearch import Paging

router = APIRouter(tags=["vulns"])

_FILTERS: Final = (
    *("text", "severity", "min_cvss", "max_cvss", "min_epss", "kev", "ransomware", "year", "status", "product", "cwe"),
    *("published_since", "published_before", "modified_since", "modified_before", "affecting"),
)
_PAGING: Final = ("sort", "cursor", "limit", "total")


class _CveConvertor(StringConvertor):
    """What begins as an id does, so that other words below `/v0/vulns` are paths of their own."""

    regex = "[Cc][Vv][Ee]-[^/]*"


register_url_convertor("cve", _CveConvertor())

Cve = Annotated[str, Path(description="such as CVE-2024-6387", pattern=r"^[Cc][Vv][Ee]-[0-9]{4}-[0-9]{4,9}$")]
Score = Annotated[float | None, Query(ge=0, le=10)]
TimeText = Annotated[str, Query(description="a date, RFC 3339, or a span before now such as 7d")]


def _known(request: Request) -> None:
    """Refuse a filter there is not: ignoring it would answer another question."""
    for name, _ in request.query_params.multi_items():
        if name not in _FILTERS and name not in _PAGING:
            near = suggest(name[:40], (*_FILTERS, *_PAGING))
            hint = f"Did you mean {near}?" if near else f"Filters: {', '.join(_FILTERS)}."
            raise BadRequest(f"There is no filter {name[:40]}.", field=name[:40], hint=hint)


class Times:
    """The filters by time."""

    def __init__(
        self,
        services: ServicesDep,
        published_since: TimeText = "",
        published_before: TimeText = "",
        modified_since: TimeText = "",
        modified_before: TimeText = "",
    ) -> None:
        now = services.clock()
        self.published_since = _moment(published_since, "published_since", now)
        self.published_before = _moment(published_before, "published_before", now)
        self.modified_since = _moment(modified_since, "modified_since", now)
        self.modified_before = _moment(modified_before, "modified_before", now)


def _moment(text: str, field: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        # A `+` of a time zone that was not percent-encoded arrives as a space.
        return moment(text.replace(" ", "+") if "T" in text else text, now)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"{text[:80]!r} is not a time.", field=field, hint="Write 2024-07-01, or 7d.") from error


def _asked(
    times: Annotated[Times, Depends()],
    text: Annotated[
        str, Query(description='words, `"a phrase"`, `-word`, `or`, and ids: `CVE-2024-6387`, `CVE-2024-63*`')
    ] = "",
    severity: Annotated[str, Query(description="such as `high,critical`")] = "",
    min_cvss: Score = None,
    max_cvss: Score = None,
    min_epss: Annotated[float | None, Query(ge=0, le=1)] = None,
    kev: Annotated[bool | None, Query(description="in CISA's catalogue of known exploited ones, or not")] = None,
    ransomware: Annotated[bool | None, Query(description="known to be used for ransomware, or not")] = None,
    year: Annotated[str, Query(description="of the id, such as `2024` or `2019-2021,2024`")] = "",
    status: Annotated[
        str,
        Query(description="published, awaiting, deferred, disputed, rejected, or all; all but the last if not told"),
    ] = "",
    product: Annotated[str, Query(description="such as `openssh` or `openbsd:openssh`, with its other names")] = "",
    cwe: Annotated[str, Query(description="such as `CWE-79`, or `79,89`")] = "",
    affecting: Annotated[bool | None, Query(description="that concern a service of now, or none")] = None,
) -> VulnQuery:
    """What the filters of a request select."""
    products = vulnquery.read_products(product)
    return VulnQuery(
        text=vulnquery.read_text(text),
        severities=vulnquery.read_severities(severity),
        min_cvss=min_cvss,
        max_cvss=max_cvss,
        min_epss=min_epss,
        kev=kev,
        ransomware=ransomware,
        years=vulnquery.read_years(year),
        statuses=vulnquery.read_statuses(status),
        products=tuple(name._replace(word=word(name.product)) for name in products),
        weaknesses=vulnquery.read_weaknesses(cwe),
        affecting=affecting,
        published_since=times.published_since,
        published_before=times.published_before,
        modified_since=times.modified_since,
        modified_before=times.modified_before,
    )


@router.get(
    "/v0/vulns",
    summary="Find CVEs",
    dependencies=[scope("vulns:read"), pro(), limited("search"), Depends(_known)],
    responses=described(VulnPage, 400, 401, 403, 429),
    response_class=Response,
)
def find(
    services: ServicesDep,
    query: Annotated[VulnQuery, Depends(_asked)],
    sort: Annotated[
        str,
        Query(description="relevance, risk, cvss, epss, published, modified or cve; `-` in front of others reverses"),
    ] = "",
    cursor: Annotated[str, Query(description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=vulnsearch.MAX_LIMIT)] = 100,
    total: Annotated[
        bool, Query(description="with the number of all matches, an estimate where they are many")
    ] = False,
) -> Response:
    """CVEs by words of their texts and by what is known of them; all filters have to hold, commas mean or.

    With words the best matches come first, else the riskiest. Rejected CVEs are left out unless `status` asks for them.
    """
    return answer(vulnsearch.search(services.database, query, Paging(sort, cursor, limit), total=total))


@router.get(
    "/v0/vulns/{cve:cve}",
    summary="One CVE",
    dependencies=[scope("vulns:read"), pro()],
    responses=described(VulnDetail, 400, 401, 403, 404),
    response_class=Response,
)
def one(request: Request, services: ServicesDep, cve: Cve) -> Response:
    """All that is known of a CVE: texts, scores, exploitation, references, what is affected, what each source says.

    Who may see findings is also told the first 100 endpoints that it concerns.
    """
    with_hosts = "findings:read" in caller_of(request).scopes
    return answer(vulndetail.detail(services.database, cve.upper(), with_hosts=with_hosts))


@router.get(
    "/v0/vulns/{cve:cve}/hosts",
    summary="Endpoints that a CVE concerns",
    dependencies=[scope("findings:read"), pro()],
    responses=described(VulnHosts, 400, 401, 403, 404),
    response_class=Response,
)
def concerned(
    services: ServicesDep,
    cve: Cve,
    cursor: Annotated[str, Query(description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Open endpoints whose software it concerns, in order of address, with what was matched; whatever was decided."""
    return answer(vulndetail.hosts(services.database, cve.upper(), cursor=cursor, limit=limit))
