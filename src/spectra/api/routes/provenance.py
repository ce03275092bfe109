"""The hash chain and its audit."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.services import Services
from spectra.errors import SpectraError
from spectra.flow import audit
from spectra.model.records import ChainReport
from spectra.store import provenance

router = APIRouter(tags=["provenance"])

_log = logging.getLogger("spectra.api")
_QUEUE: Final = 64
_WAIT_S: Final = 60.0


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
