"""Accepted submissions and their raw originals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query, Request
from msgspec import Meta
from starlette.responses import Response, StreamingResponse

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.services import Services
from spectra.errors import BadRequest
from spectra.ingest.output import open_output
from spectra.model.envelope import Output
from spectra.model.records import ObservationRecord
from spectra.store import observations

router = APIRouter(tags=["observations"])

_PIECE_BYTES: Final = 1 << 18


class Known(msgspec.Struct):
    """Which outputs the caller has had accepted: SHA-256 of the output to observation id."""

    known: dict[str, str]


class ObservationPage(msgspec.Struct, omit_defaults=True):
    """Submissions, newest first."""

    observations: list[ObservationRecord]
    next_cursor: str = ""


class Digests(msgspec.Struct, forbid_unknown_fields=True):
    """SHA-256 (hex) of tool outputs, before compression."""

    output_sha256: Annotated[list[Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]], Meta(max_length=1000)]


@router.post(
    "/v0/observations/known",
    summary="Which outputs were accepted already",
    dependencies=[scope("observations:read")],
    responses=described(Known, 400, 401, 403, 408, 413),
    openapi_extra=described_body(Digests),
    response_class=Response,
)
def known(request: Request, services: ServicesDep, digests: Annotated[Digests, json_body(Digests)]) -> Response:
    """What makes an import resumable: ask before sending. Only the caller's own submissions are told of."""
    found = observations.known_outputs(services.database, caller_of(request).contributor, digests.output_sha256)
    return answer(Known(found))


@router.get(
    "/v0/observations",
    summary="Submissions, newest first",
    dependencies=[scope("observations:read")],
    responses=described(ObservationPage, 400, 401, 403),
    response_class=Response,
)
def newest(
    services: ServicesDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100, cursor: Annotated[str, Query()] = ""
) -> Response:
    """A page of submissions."""
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise BadRequest("This cursor was not made here.", field="cursor", hint="Start again without one.")
    records, following = observations.newest(services.database, limit=limit, before=int(cursor) if cursor else None)
    return answer(ObservationPage(records, str(following) if following else ""))


@router.get(
    "/v0/observations/{observation_id}",
    summary="One submission",
    dependencies=[scope("observations:read")],
    responses=described(ObservationRecord, 401, 403, 404),
    response_class=Response,
)
def one(services: ServicesDep, observation_id: str) -> Response:
    """What was kept of a submission, and what was not."""
    return answer(observations.get(services.database, observation_id))


@router.get(
    "/v0/observations/{observation_id}/raw",
    summary="The tool's original output",
    dependencies=[scope("observations:read")],
    responses={
        **described(ObservationRecord, 401, 403, 404, 500),
        200: {"description": "The bytes as the tool wrote them", "content": {"application/octet-stream": {}}},
    },
    response_class=Response,
)
def raw(services: ServicesDep, observation_id: str) -> Response:
    """The original. It is checked against its hashes before the first byte is sent, in a pass of its own that keeps
    nothing: an output may be a thousand times the size of its blob.
    """
    return original(services, observation_id)


def original(
    services: Services,
    observation_id: str,
    media_type: str = "application/octet-stream",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """The original output of an observation, checked before the first byte is sent."""
    record = observations.get(services.database, observation_id)
    payload = observations.payload(services.database, record.observation_id)
    output = msgspec.structs.replace(payload.output, data=services.blobs.get(bytes.fromhex(record.blob_sha256)))
    for _ in _pieces(output):
        pass
    sent = {**headers, "Content-Length": str(output.size)}
    return StreamingResponse(_pieces(output), media_type=media_type, headers=sent)


def _pieces(output: Output) -> Iterator[bytes]:
    with open_output(output, max_bytes=output.size) as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece
