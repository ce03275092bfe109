"""What machines of the mesh ask of their coordinator, by certificate. Only the mesh's listener serves this."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import by_certificate, node_of, open_to
from spectra.api.bodies import described_body, json_body
from spectra.api.certificates import MAX_BODY_BYTES
from spectra.api.machines import MachinesDep
from spectra.api.routes.health import Health
from spectra.identity.roles import PUBLIC
from spectra.model.registration import Registration, Welcome

router = APIRouter(tags=["mesh"])


@router.post(
    "/v0/mesh/nodes",
    summary="Become a member",
    status_code=201,
    dependencies=[by_certificate()],
    responses=described(Welcome, 400, 401, 403, 409, 413, status=201),
    openapi_extra=described_body(Registration),
    response_class=Response,
)
def register(
    request: Request,
    machines: MachinesDep,
    asked: Annotated[Registration, json_body(Registration, MAX_BODY_BYTES)],
) -> Response:
    """Register the key that signs what the machine submits, and what it can do. May be repeated with the same key."""
    return answer(machines.members.register(node_of(request), asked, machines.signer.roots), 201)


@router.get(
    "/v0/mesh/self",
    summary="What the mesh knows of the machine that asks",
    dependencies=[by_certificate()],
    responses=described(Welcome, 401, 403),
    response_class=Response,
)
def myself(request: Request, machines: MachinesDep) -> Response:
    """Its standing and why, where the rest of the mesh is, and whom to trust."""
    return answer(machines.members.welcome(node_of(request).name, machines.signer.roots))


@router.delete(
    "/v0/mesh/self",
    summary="Leave the mesh for good",
    status_code=204,
    dependencies=[by_certificate()],
    response_class=Response,
)
def leave(request: Request, machines: MachinesDep) -> Response:
    """Its keys are revoked, and its name stays taken."""
    machines.members.leave(node_of(request).name)
    return Response(status_code=204)


@router.get(
    "/v0/health",
    summary="Does it answer",
    dependencies=[open_to(PUBLIC)],
    responses=described(Health),
    response_class=Response,
)
async def health() -> Response:
    """Answers as long as the process can."""
    return answer(Health("ok"))
