"""What a search found as a file."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from spectra.api.exporting import KINDS
from spectra.errors import BadRequest, SpectraError
from spectra.model.records import SearchPage
from spectra.web.page import HEADERS, VisitDep, page
from spectra.web.routes.search import TextParam, WordParam

router = APIRouter(include_in_schema=False)

_PASSED_ON = ("content-disposition", "content-type")


@router.get("/search/export", dependencies=[page("search:read")])
async def export(visit: VisitDep, q: TextParam = "", format: WordParam = "csv") -> Response:
    """All of it, sent while it is read; a browser saves it."""
    if format not in KINDS:
        raise BadRequest(f"There is no format {format}.", hint=f"Formats: {', '.join(KINDS)}.", field="format")
    await visit.api.get("/v0/search", SearchPage, q=q, limit=1)  # what is wrong with the query is told as a page
    answer, pieces = await visit.api.stream("GET", "/v0/export", params={"q": q, "format": format})
    if answer.status != 200:
        await pieces.aclose()
        raise SpectraError("It cannot be exported now.", reason="busy", hint="Try again in a minute.")
    headers = {**HEADERS, **{name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}}
    return StreamingResponse(pieces, headers=headers)
