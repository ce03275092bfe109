"""Files of attempts: logs, the tools' own outputs and captures, as machines sent them.

They come from other machines, and what is in them from whatever was scanned: nothing in them is ever shown by a browser
as a page of this server.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.routes.hosts import canonical, moment
from spectra.api.routes.jobs import CursorQuery, LimitQuery
from spectra.api.routes.observations import original
from spectra.model.work import ArtefactRecord
from spectra.model.workpages import ArtefactPage
from spectra.store import artefacts

router = APIRouter(tags=["jobs"])

ANY: Final = "application/octet-stream"
INERT: Final = frozenset(
    {
        *("text/plain", "text/csv", "text/xml", "application/xml", "application/json", "application/x-ndjson"),
        *("application/vnd.tcpdump.pcap", "application/gzip", "application/zstd", "image/png", "image/jpeg", ANY),
    }
)
"""Types that are told as the machine said them; what else it said is told as bytes."""
IdPath = Annotated[int, Path(ge=1, le=2**53, description="The file's number.")]


@router.get(
    "/v0/artefacts",
    summary="Files of attempts, newest first",
    dependencies=[scope("jobs:read")],
    responses=described(ArtefactPage, 400, 401, 403),
    response_class=Response,
)
def page(
    services: ServicesDep,
    *,
    job: Annotated[str, Query(pattern="^(job-[0-9a-f]{20})?$", description="of this job")] = "",
    target: Annotated[int, Query(ge=0, le=2**53, description="of this target")] = 0,
    host: Annotated[str, Query(max_length=64, description="of observations that saw this address")] = "",
    since: Annotated[str, Query(max_length=64, description="with `host`: that saw it then or later (RFC 3339)")] = "",
    until: Annotated[str, Query(max_length=64, description="with `host`: that saw it then or earlier")] = "",
    scan: Annotated[str, Query(max_length=200, description="of the scan with this id")] = "",
    observation: Annotated[str, Query(pattern="^([0-9a-f]{64})?$", description="of this observation")] = "",
    cursor: CursorQuery = "",
    limit: LimitQuery = 100,
) -> Response:
    """What was kept of attempts: a target's log, what its tool wrote, captures. All that is asked for has to hold.

    What a version of an endpoint rests on: its `host`, from its `since` until it was `confirmed` last.
    """
    found, following = artefacts.page(
        services.database,
        job=job,
        target=target,
        host=canonical(host) if host else "",
        seen_from=moment(since, "since"),
        seen_by=moment(until, "until"),
        scan_id=scan,
        observation_id=observation,
        limit=limit,
        cursor=cursor,
    )
    return answer(ArtefactPage(found, following))


@router.get(
    "/v0/artefacts/{artefact}",
    summary="What is known of a file",
    dependencies=[scope("jobs:read")],
    responses=described(ArtefactRecord, 400, 401, 403, 404),
    response_class=Response,
)
def one(services: ServicesDep, artefact: IdPath) -> Response:
    """Which attempt it belongs to, what it is and how large."""
    return answer(artefacts.get(services.database, artefact))


@router.get(
    "/v0/artefacts/{artefact}/content",
    summary="A file as the machine sent it",
    dependencies=[scope("jobs:read")],
    responses={
        **described(ArtefactRecord, 400, 401, 403, 404, 500),
        200: {"description": "The bytes", "content": {kind: {} for kind in sorted(INERT)}},
    },
    response_class=Response,
)
def content(services: ServicesDep, artefact: IdPath) -> Response:
    """To be saved, whatever it claims to be. The bytes were checked against their hash."""
    record = artefacts.get(services.database, artefact)
    media_type = record.media_type if record.media_type in INERT else ANY
    headers = {
        "Content-Disposition": f'attachment; filename="{record.name}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if record.kind == "raw" and record.observation_id:  # it is kept once, as the observation's
        return original(services, record.observation_id, media_type, headers)
    return Response(services.blobs.get(bytes.fromhex(record.sha256)), media_type=media_type, headers=headers)
