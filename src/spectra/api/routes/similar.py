"""Weaknesses that are like a text or like another one, and the vectors by which that is told."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.limits import limited
from spectra.api.tiers import pro
from spectra.errors import BadRequest
from spectra.model import vulnquery
from spectra.model.similar import SimilarPage, Vectorizing, VectorStatus
from spectra.store.vectors import Filter

router = APIRouter(tags=["vulns"])

_MAX_TEXT: Final = 4000


@router.get(
    "/v0/vulns/similar",
    summary="CVEs like a text, or like another CVE",
    dependencies=[scope("vulns:read"), pro(), limited("search")],
    responses=described(SimilarPage, 400, 401, 403, 404, 429),
    response_class=Response,
)
def similar(
    services: ServicesDep,
    text: Annotated[str, Query(max_length=_MAX_TEXT, description="such as `race in the signal handler of sshd`")] = "",
    cve: Annotated[str, Query(pattern=r"^([Cc][Vv][Ee]-[0-9]{4}-[0-9]{4,9})?$", description="instead of a text")] = "",
    k: Annotated[int, Query(ge=1, le=200, description="how many")] = 20,
    severity: Annotated[str, Query(max_length=200, description="such as `high,critical`")] = "",
    min_cvss: Annotated[float | None, Query(ge=0, le=10)] = None,
    kev: Annotated[bool | None, Query(description="in CISA's catalogue of known exploited ones, or not")] = None,
) -> Response:
    """By words and by vectors: the places in both are fused (reciprocal rank), and each result tells its own.

    Without vectors by words alone, and `vectors` says so. A text goes to the configured embedder and nowhere else.
    """
    if bool(text.strip()) == bool(cve):
        raise BadRequest(
            "Give a text or a CVE, one of them.", field="text", hint="Write text=... or cve=CVE-2024-6387."
        )
    only = Filter(tuple(vulnquery.read_severities(severity)), kev, min_cvss)
    if cve:
        return answer(services.similar.to_cve(cve.upper(), k, only))
    return answer(services.similar.to_text(text, k, only))


@router.get(
    "/v0/vulns/vectors",
    summary="What makes the vectors of CVEs, and how many are missing",
    dependencies=[scope("vulns:read")],
    responses=described(VectorStatus, 401, 403),
    response_class=Response,
)
def status(services: ServicesDep) -> Response:
    """The embedder that answers, and the one that is being filled to take its place."""
    return answer(services.vectors.vectors.status())


@router.post(
    "/v0/vulns/vectorize",
    summary="Bring the vectors of CVEs up to date",
    status_code=202,
    dependencies=[scope("feeds:write")],
    responses=described(Vectorizing, 400, 401, 403, status=202),
    response_class=Response,
)
def vectorize(
    services: ServicesDep,
    anew: Annotated[bool, Query(description="learn and make all of them anew, though they would do")] = False,
) -> Response:
    """Not needed after a sync, which is followed by itself within minutes. The vectors before answer until the end.

    A durable workflow, `GET /v0/workflows/{id}` tells how far it is. One at a time: asking again gives the same.
    """
    return answer(services.vectors.start(anew=anew), 202)
