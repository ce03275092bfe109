"""Submissions: the fast path and the durable path."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from spectra.api import bodies
from spectra.api.answers import answer, described
from spectra.api.auth import ENVELOPE, ServicesDep, open_to
from spectra.api.bodies import BodyTooLarge, described_body
from spectra.api.guard import address_of
from spectra.api.problems import Busy, problem
from spectra.api.services import Services
from spectra.errors import SpectraError
from spectra.ingest.gate import Reason, Rejected
from spectra.ingest.parsers import ParseError
from spectra.model.envelope import Envelope, Problem, Receipt

T = TypeVar("T")

router = APIRouter(tags=["ingest"])

_TOLD: Final = frozenset(
    {Reason.UNKNOWN_KEY, Reason.BAD_SIGNATURE, Reason.KEY_REVOKED, Reason.KEY_EXPIRED, Reason.CONTRIBUTOR_MISMATCH}
    | {Reason.NONCE_REPLAYED, Reason.ROLE_FORBIDDEN, Reason.ACCOUNT_DISABLED, Reason.IMPOSTOR}
)
"""What somebody does who has no right to; the rest are mistakes."""
_ENVELOPE_BODY = described_body(Envelope)


class Admission:
    """The bounds in front of the ingest: `running` at once and as many again waiting, and `most_bytes` of bodies.

    A body takes memory as it arrives and a place only once it is there: a stranger who sends slowly holds a socket,
    but keeps nobody else out.
    """

    def __init__(self, running: int, most_bytes: int) -> None:
        self._limiter = anyio.CapacityLimiter(running)
        self._most = 2 * running
        self._inside = 0
        self._most_bytes = most_bytes
        self._bytes = 0

    @contextmanager
    def memory(self) -> Generator[Callable[[int], None]]:
        """A function that takes bytes for one body; they are given back when the block ends."""
        mine = 0

        def take(count: int) -> None:
            nonlocal mine
            if self._bytes + count > self._most_bytes:
                raise Busy("Too much is being sent at once.", hint="Send the same submission again in a moment.")
            self._bytes += count
            mine += count

        try:
            yield take
        finally:
            self._bytes -= mine

    @contextmanager
    def place(self) -> Generator[None]:
        """A place among those that are worked on or wait for it."""
        if self._inside >= self._most:
            raise Busy("Too many submissions are being worked on.", hint="Send the same submission again in a moment.")
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """Run blocking `work` in a thread, at most `running` at once."""
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


@router.post(
    "/v0/mesh/ingest",
    summary="Submit, and have it in search when this answers",
    dependencies=[open_to(ENVELOPE)],
    responses=described(Receipt, 400, 401, 403, 408, 409, 413, 422, 429, 507),
    openapi_extra=_ENVELOPE_BODY,
    response_class=Response,
)
async def submit(request: Request, services: ServicesDep) -> Response:
    """The fast path: verified, parsed and committed with fsync before the answer."""
    receipt = await _receive(request, services, "fast", services.ingest.submit)
    services.metrics.hosts.inc(0 if receipt.duplicate else receipt.counts.hosts)
    services.metrics.endpoints.inc(0 if receipt.duplicate else receipt.counts.endpoints)
    if receipt.status == "failed":
        return _failed_before(request, receipt)
    return answer(receipt)


@router.post(
    "/v0/ingest",
    summary="Submit for a durable workflow",
    status_code=202,
    dependencies=[open_to(ENVELOPE)],
    responses={
        **described(Receipt, 400, 401, 403, 408, 409, 413, 429, 507, status=202),
        **described(Receipt),  # the same submission again
    },
    openapi_extra=_ENVELOPE_BODY,
    response_class=Response,
)
async def accept(request: Request, services: ServicesDep) -> Response:
    """Stored and on record when this answers; `workflow_id` tells how far the rest is."""
    receipt = await _receive(request, services, "durable", partial(_accept, services))
    return answer(receipt, 200 if receipt.duplicate else 202)


def _accept(services: Services, raw: bytes) -> Receipt:
    receipt = services.ingest.accept(raw)
    if not receipt.duplicate:
        services.workflows.enqueue(receipt.observation_id)
    return receipt


async def _receive(request: Request, services: Services, path: str, work: Callable[[bytes], Receipt]) -> Receipt:
    admission: Admission = request.app.state.admission
    with admission.memory() as take:
        raw = await _body(request, services, take)
        try:
            with admission.place():
                receipt = await admission.run(partial(work, raw))
        except Rejected as error:
            services.metrics.rejections.labels(error.reason).inc()
            if services.alerts is not None and error.reason in _TOLD:
                services.alerts.refused(error.reason, str(address_of(request) or "local"), error.message)
            raise
        except SpectraError:
            services.metrics.submissions.labels(path, "failed").inc()
            raise
    services.metrics.submissions.labels(path, "duplicate" if receipt.duplicate else receipt.status).inc()
    return receipt


async def _body(request: Request, services: Services, take: Callable[[int], None]) -> bytes:
    try:
        return await bodies.read(request, services.max_envelope_bytes, take)
    except BodyTooLarge as error:
        services.metrics.rejections.labels(Reason.ENVELOPE_TOO_LARGE.value).inc()
        raise Rejected(
            Reason.ENVELOPE_TOO_LARGE,
            f"The envelope has {error.size} bytes or more; {services.max_envelope_bytes} are accepted.",
            hint="Split the output, or raise SPECTRA_GATE__MAX_ENVELOPE_BYTES.",
        ) from error


def _failed_before(request: Request, receipt: Receipt) -> Response:
    """The same submission failed when it first came: the answer is the same again."""
    reason, _, message = receipt.error.partition(": ")
    found = receipt.problems[0] if receipt.problems else Problem(message)
    error = ParseError(
        found.message,
        reason=reason,
        hint=message.removeprefix(found.message).strip(),
        line=found.line,
        field=found.field,
    )
    return problem(error, request.state.request_id, observation_id=receipt.observation_id)
