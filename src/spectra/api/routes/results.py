"""What machines send back from their leases, and the law that they have to know; on the mesh's listener only."""

from __future__ import annotations

from functools import partial
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from spectra.api import bodies
from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, by_certificate, node_of
from spectra.api.bodies import BodyTooLarge, described_body
from spectra.api.problems import WorkOff
from spectra.api.routes.ingest import Admission
from spectra.api.services import Services
from spectra.flow.results import Results
from spectra.ingest.gate import Reason, Rejected
from spectra.model.lawbook import LawBook
from spectra.model.results import Bundle, ResultReceipt

router = APIRouter(tags=["mesh"])

AT_ONCE: Final = 4
"""Bundles that are worked on at once, as many again may wait: each may hold all its files in memory for a moment."""


@router.post(
    "/v0/mesh/results",
    summary="Send the result of a lease",
    status_code=202,
    dependencies=[by_certificate()],
    responses={
        **described(ResultReceipt, 400, 401, 403, 404, 408, 409, 413, 422, 507, status=202),
        **described(ResultReceipt),  # the same result again
    },
    openapi_extra=described_body(Bundle),
    response_class=Response,
)
async def send(request: Request, services: ServicesDep) -> Response:
    """Kept with all it brought, in one transaction, when this answers. The same again is answered with the first's
    receipt; one that is refused was an attempt, and the target goes to another machine.
    """
    results = _results(services)
    admission: Admission = request.app.state.results
    with admission.memory() as take:
        try:
            raw = await bodies.read(request, results.most_bytes, take)
        except BodyTooLarge as error:
            raise Rejected(
                Reason.ENVELOPE_TOO_LARGE,
                f"The bundle has {error.size} bytes or more; {results.most_bytes} are accepted.",
                hint="Scan less at a time, or keep less of the tool's output.",
            ) from error
        with admission.place():
            receipt = await admission.run(partial(results.take, node_of(request), raw))
    return answer(receipt, 200 if receipt.duplicate else 202)


@router.get(
    "/v0/mesh/law",
    summary="The do-not-scan list",
    dependencies=[by_certificate()],
    responses=described(LawBook, 401, 403, 409),
    response_class=Response,
)
def law(services: ServicesDep) -> Response:
    """All of it: networks, addresses and hostnames that no machine of this mesh scans."""
    if services.work is None:
        raise _off()
    return answer(services.work.law_for_machines())


def _results(services: Services) -> Results:
    if services.results is None:
        raise _off()
    return services.results


def _off() -> WorkOff:
    return WorkOff("This coordinator hands out no scans.", hint="Set SPECTRA_WORK__ENABLED=true there.")
