"""Submissions, and the files that machines sent: what is known of them, and their bytes to be saved.

What is in them comes from other machines and from whatever was scanned: a browser never shows it as a page.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response, StreamingResponse

from spectra.api.routes.observations import ObservationPage
from spectra.errors import SpectraError
from spectra.model.records import ObservationRecord
from spectra.model.work import ArtefactRecord
from spectra.web.page import HEADERS, Visit, VisitDep, page, query
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_SAVED: Final = {
    **HEADERS,
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
}
_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_SHOWN: Final = 50


@router.get("/observations", dependencies=[page("observations:read")])
async def newest(visit: VisitDep, cursor: Annotated[str, Query(max_length=100)] = "") -> Response:
    """What was submitted, the newest first."""
    found = await visit.api.get("/v0/observations", ObservationPage, cursor=cursor, limit=_SHOWN)
    return await visit.render(
        "observations.html",
        title="Submissions",
        at="activity",
        observations=found.observations,
        more=f"/observations{query(cursor=found.next_cursor)}" if found.next_cursor else "",
        first="/observations" if cursor else "",
    )


@router.get("/observations/{observation}", dependencies=[page("observations:read")])
async def one(visit: VisitDep, observation: str) -> Response:
    """What was kept of a submission, and what was not."""
    record = await visit.api.get(f"/v0/observations/{segment(observation)}", ObservationRecord)
    return await visit.render(
        "observation.html", title=f"Submission {record.observation_id[:12]}", at="activity", one=record
    )


@router.get("/observations/{observation}/raw", dependencies=[page("observations:read")])
async def raw(visit: VisitDep, observation: str) -> Response:
    """The tool's own output, to be saved."""
    path = f"/v0/observations/{segment(observation)}"
    record = await visit.api.get(path, ObservationRecord)
    return await _saved(visit, f"{path}/raw", f"{record.tool}-{record.observation_id[:12]}.{record.format or 'raw'}")


@router.get("/files/{artefact}", dependencies=[page("jobs:read")])
async def file(visit: VisitDep, artefact: Annotated[int, Path(ge=1, le=2**53)]) -> Response:
    """A log, a tool's output or a capture of an attempt, to be saved."""
    path = f"/v0/artefacts/{artefact}"
    record = await visit.api.get(path, ArtefactRecord)
    return await _saved(visit, f"{path}/content", record.name)


async def _saved(visit: Visit, path: str, name: str) -> Response:
    """The bytes of `path` as a file called `name`, piece by piece."""
    answer, pieces = await visit.api.stream("GET", path)
    if answer.status != 200:
        await pieces.aclose()
        raise SpectraError("These bytes cannot be had: they are not what they were when they came.", reason="corrupt")
    headers = {**_SAVED, "content-disposition": f'attachment; filename="{_NAME.sub("_", name)[:120] or "file"}"'}
    if length := answer.headers.get("content-length"):
        headers["content-length"] = length
    return StreamingResponse(pieces, headers=headers, media_type="application/octet-stream")
