"""Machines of the mesh show what state they are in, by certificate. Only the mesh's listener serves this."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import by_certificate, node_of
from spectra.api.bodies import described_body, json_body
from spectra.flow.attestation import Attestations
from spectra.model.attestations import Challenge, Evidence, TpmKeys, Verdict

router = APIRouter(tags=["mesh"])

MAX_BODY_BYTES: Final = 64 * 1024


def _attestations(request: Request) -> Attestations:
    return request.app.state.attestations


AttestationsDep = Annotated[Attestations, Depends(_attestations)]


@router.get(
    "/v0/mesh/attest",
    summary="What the machine is asked",
    dependencies=[by_certificate()],
    responses=described(Challenge, 401, 403, 409),
    response_class=Response,
)
def challenge(request: Request, attestations: AttestationsDep) -> Response:
    """A nonce that one answer has to be over, within minutes; nothing where nodes of its role are not asked."""
    return answer(attestations.challenge(node_of(request).name))


@router.post(
    "/v0/mesh/attest/tpm",
    summary="Make a TPM known",
    dependencies=[by_certificate()],
    responses=described(Challenge, 400, 401, 403, 409, 413),
    openapi_extra=described_body(TpmKeys),
    response_class=Response,
)
def credential(
    request: Request, attestations: AttestationsDep, keys: Annotated[TpmKeys, json_body(TpmKeys, MAX_BODY_BYTES)]
) -> Response:
    """The challenge comes with a credential that only the TPM with these keys can open."""
    return answer(attestations.credential(node_of(request).name, keys))


@router.post(
    "/v0/mesh/attest",
    summary="Show a state",
    dependencies=[by_certificate()],
    responses=described(Verdict, 400, 401, 403, 409, 413),
    openapi_extra=described_body(Evidence),
    response_class=Response,
)
def verify(
    request: Request, attestations: AttestationsDep, evidence: Annotated[Evidence, json_body(Evidence, MAX_BODY_BYTES)]
) -> Response:
    """A TPM's quote over the nonce, or the machine's word; where it leaves the machine."""
    return answer(attestations.verify(node_of(request).name, evidence))
