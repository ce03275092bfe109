"""The hash chain and its audit."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.services import Services
from spectra.errors import BadRequest, SpectraError
from spectra.flow import audit
from spectra.model.chain import ChainPage, ChainProof
from spectra.model.records import ChainReport
from spectra.store import chainpages, provenance

router = APIRouter(tags=["provenance"])

_log = logging.getLogger("spectra.api")
_QUEUE: Final = 64
_WAIT_S: Final = 60.0
_ACTS: Final = "audit:read"
"""The scope that tells what those with privileges did."""
_MOST: Final = 2**53


class ChainHead(msgspec.Struct):
    """How long the chain is, and the hash (hex) of its newest entry."""

    entries: int
    head: str


@router.get(
    "/v0/provenance",
    summary="Length and head of the chain",
    dependencies=[scope("provenance:read")],
    responses=described(ChainHead, 401, 403),
    response_class=Response,
)
def head(services: ServicesDep) -> Response:
    """Keep the head elsewhere to be able to tell later that nothing before it was rewritten."""
    return answer(ChainHead(*provenance.head(services.database)))


@router.post(
    "/v0/provenance/verify",
    summary="Walk the chain",
    dependencies=[scope("provenance:read")],
    responses={
        **described(ChainReport, 400, 401, 403),
        200: {
            "description": "JSON lines: {progress} while walking, then one {report}",
            "content": {"application/x-ndjson": {"schema": {"$ref": "#/components/schemas/ChainReport"}}},
        },
    },
    response_class=StreamingResponse,
)
def verify(
    services: ServicesDep,
    deep: Annotated[bool, Query(description="also fold the graph again and compare every row")] = True,
) -> StreamingResponse:
    """Hashes, signatures, blobs and rows; `deep` also every row of the graph."""
    return StreamingResponse(_walk(services, deep=deep), media_type="application/x-ndjson")


@router.get(
    "/v0/provenance/entries",
    summary="Entries of the chain, newest first",
    dependencies=[scope("provenance:read")],
    responses=described(ChainPage, 400, 401, 403),
    response_class=Response,
)
def entries(
    request: Request,
    services: ServicesDep,
    *,
    kind: Annotated[str, Query(max_length=100, description="one kind, as `block.added`, or a noun, as `key`")] = "",
    subject: Annotated[str, Query(max_length=200, description="what it is about: the id of a key, a block ...")] = "",
    after: Annotated[int | None, Query(ge=0, le=_MOST, description="only the next after this number")] = None,
    cursor: Annotated[str, Query(max_length=20, description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Submissions and acts. What those with privileges did is told in full to who may read the audit."""
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise BadRequest("This cursor was not made here.", field="cursor", hint="Start again without one.")
    if "\x00" in kind + subject:
        raise BadRequest("There is no such kind or subject.", field="kind")
    told = _ACTS in caller_of(request).scopes
    found = chainpages.page(
        services.database,
        kind=kind,
        subject=subject,
        before=int(cursor) if cursor else None,
        after=after,
        limit=limit + 1,
        told=told,
    )
    more = len(found) > limit
    page = found[-limit:] if after is not None else found[:limit]
    older = more or after is not None
    return answer(ChainPage(page, str(page[-1].seq) if older and page and page[-1].seq > 1 else ""))


@router.get(
    "/v0/provenance/entries/{seq}",
    summary="One entry, and the proof that it holds",
    dependencies=[scope("provenance:read")],
    responses=described(ChainProof, 400, 401, 403, 404),
    response_class=Response,
)
def entry(request: Request, services: ServicesDep, seq: Annotated[int, Path(ge=1, le=_MOST)]) -> Response:
    """Its hash computed again, and its place between the entries before and after it."""
    told = _ACTS in caller_of(request).scopes
    return answer(chainpages.one(services.database, seq, told=told))


def _walk(services: Services, *, deep: bool) -> Iterator[bytes]:
    """The walk runs in a thread of its own and tells of its progress through a bounded queue."""
    told: queue.Queue[dict[str, object]] = queue.Queue(_QUEUE)
    gone = threading.Event()

    def put(line: dict[str, object]) -> None:
        while not gone.is_set():
            with contextlib.suppress(queue.Full):
                told.put(line, timeout=1.0)
                return

    def work() -> None:
        try:
            report = audit.verify(
                services.database,
                services.blobs,
                deep=deep,
                progress=lambda done, total: put({"progress": {"done": done, "total": total}}),
            )
            put({"report": report})
        except SpectraError as error:
            put({"error": {"reason": error.reason, "detail": error.message}})
        except Exception:  # noqa: BLE001 - the stream has begun: an end without report would look like a cut connection
            _log.exception("the walk of the provenance chain failed")
            put({"error": {"reason": "internal", "detail": "Something went wrong in here; the log has it."}})

    thread = threading.Thread(target=work, name="audit", daemon=True)
    thread.start()
    try:
        while True:
            try:
                line = told.get(timeout=_WAIT_S)
            except queue.Empty:
                yield b"\n"  # keeps the connection alive while one long step runs
                if not thread.is_alive():
                    return
                continue
            yield msgspec.json.encode(line) + b"\n"
            if "progress" not in line:
                return
    finally:
        gone.set()
