"""The machines of the mesh, as people see and govern them. Machines themselves come by `api/routes/mesh.py`."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.problems import MeshOff
from spectra.api.services import Mesh, Services
from spectra.errors import BadRequest
from spectra.model.joining import (
    RESERVED,
    AuthorityRecord,
    Invitation,
    Invite,
    JoinTokenList,
    NodePage,
    Reason,
    RefusalList,
)
from spectra.model.nodes import JoinTokenRecord, NodeRecord, Presence, Role, Standing
from spectra.store import jointokens, nodes, refusals
from spectra.store.accounts import Act

router = APIRouter(tags=["nodes"])

_Name = Annotated[str, Path(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="The node's name.")]
_Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9._~-]{1,100}$", description="The token's id.")]
_WRITES: Final = (400, 401, 403, 404, 408, 409, 413)


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a node is thrown out or kept away."""

    reason: Reason


def _act(request: Request, services: Services) -> Act:
    return Act(caller_of(request).contributor, services.clock())


def _mesh(services: Services) -> Mesh:
    if services.mesh is None:
        raise MeshOff(
            "This node holds no mesh: it is off in its settings.",
            hint="Set `mesh.enabled` (SPECTRA_MESH__ENABLED=true) and start it again.",
        )
    return services.mesh


@router.get(
    "/v0/nodes",
    summary="All nodes",
    dependencies=[scope("nodes:read")],
    responses=described(NodePage, 400, 401, 403),
    response_class=Response,
)
def every(
    services: ServicesDep,
    *,
    role: Annotated[Role | None, Query(description="only nodes of this role")] = None,
    standing: Annotated[Standing | None, Query(description="only nodes that this was decided about")] = None,
    presence: Annotated[Presence | None, Query(description="only nodes that were last heard so")] = None,
    cursor: Annotated[str, Query(max_length=63, description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """By name: what each is, what was decided about it, what it can do and when it was last heard."""
    if "\x00" in cursor:
        raise BadRequest("This cursor was not made here.", field="cursor", hint="Start again without one.")
    found = nodes.page(
        services.database, after=cursor, limit=limit + 1, role=role, standing=standing, presence=presence
    )
    return answer(NodePage(found[:limit], found[limit - 1].name if len(found) > limit else ""))


@router.post(
    "/v0/nodes/tokens",
    summary="Invite a machine",
    status_code=201,
    dependencies=[scope("nodes:write")],
    responses=described(Invitation, 400, 401, 403, 408, 409, 413, status=201),
    openapi_extra=described_body(Invite),
    response_class=Response,
)
def invite(request: Request, services: ServicesDep, asked: Annotated[Invite, json_body(Invite)]) -> Response:
    """The join token is in the answer and nowhere else. Of unused tokens for one name the newest counts.

    A name may be that of a node which has joined: the machine that comes takes its place. A revoked one stays taken.
    """
    if asked.name in RESERVED:
        raise BadRequest(f"No node is called {asked.name}.", field="name", hint="Choose another name.")
    if asked.name and asked.reusable:
        raise BadRequest(
            "A reusable token names no node: those who use it choose.", field="name", hint="Leave one of the two out."
        )
    return answer(_mesh(services).invite(asked, _act(request, services)), 201)


@router.get(
    "/v0/nodes/tokens",
    summary="Join tokens",
    dependencies=[scope("nodes:read")],
    responses=described(JoinTokenList, 400, 401, 403),
    response_class=Response,
)
def tokens(
    services: ServicesDep,
    *,
    all: Annotated[bool, Query(description="also those that are used, expired or revoked")] = False,
) -> Response:
    """What the tokens are for and who made them; the tokens themselves are not kept. At most 1,000, newest first."""
    return answer(JoinTokenList(jointokens.every(services.database, services.clock(), all=all)))


@router.delete(
    "/v0/nodes/tokens/{token_id}",
    summary="Revoke a join token",
    dependencies=[scope("nodes:write")],
    responses=described(JoinTokenRecord, 400, 401, 403, 404, 409),
    response_class=Response,
)
def revoke_token(request: Request, services: ServicesDep, token_id: _Id) -> Response:
    """Nobody gets in with it any more; who did, stays."""
    return answer(_mesh(services).revoke_token(token_id, _act(request, services)))


@router.get(
    "/v0/nodes/refusals",
    summary="What machines were refused",
    dependencies=[scope("nodes:read")],
    responses=described(RefusalList, 400, 401, 403),
    response_class=Response,
)
def refused(
    services: ServicesDep,
    *,
    kind: Annotated[str, Query(max_length=60, description="only of this kind, such as `impostor`")] = "",
    limit: Annotated[int, Query(ge=1, le=refusals.MAX_ROWS)] = 100,
) -> Response:
    """Counted by what was tried and who tried, the newest first: a token used twice, another's name, a key revoked."""
    if "\x00" in kind:
        raise BadRequest("There is no such kind of refusal.", field="kind")
    return answer(RefusalList(refusals.every(services.database, kind=kind, limit=limit)))


@router.get(
    "/v0/nodes/ca",
    summary="Who issues the nodes' certificates",
    dependencies=[scope("nodes:read")],
    responses=described(AuthorityRecord, 401, 403, 409),
    response_class=Response,
)
def authority(services: ServicesDep) -> Response:
    """The mesh's name, and the roots that its nodes trust."""
    return answer(_mesh(services).authority())


@router.post(
    "/v0/nodes/ca/rotate",
    summary="Put a new root in the place of the CA's",
    dependencies=[scope("nodes:write")],
    responses=described(AuthorityRecord, 401, 403, 409),
    response_class=Response,
)
def rotate(request: Request, services: ServicesDep) -> Response:
    """Certificates are issued under the new root from now on; the old one is trusted until it is retired."""
    return answer(_mesh(services).rotate(_act(request, services)))


@router.post(
    "/v0/nodes/ca/retire",
    summary="Trust the newest root alone",
    dependencies=[scope("nodes:write")],
    responses=described(AuthorityRecord, 401, 403, 409),
    response_class=Response,
)
def retire(request: Request, services: ServicesDep) -> Response:
    """After a rotation, once every node has renewed: one that has not is let in no more."""
    return answer(_mesh(services).retire(_act(request, services)))


@router.get(
    "/v0/nodes/{name}",
    summary="One node",
    dependencies=[scope("nodes:read")],
    responses=described(NodeRecord, 400, 401, 403, 404),
    response_class=Response,
)
def one(services: ServicesDep, name: _Name) -> Response:
    """All that is known of it."""
    return answer(nodes.get(services.database, name))


@router.post(
    "/v0/nodes/{name}/quarantine",
    summary="Keep a node away",
    dependencies=[scope("nodes:write")],
    responses=described(NodeRecord, *_WRITES),
    openapi_extra=described_body(Why),
    response_class=Response,
)
def quarantine(request: Request, services: ServicesDep, name: _Name, why: Annotated[Why, json_body(Why)]) -> Response:
    """It is heard and gets no work, until it is released."""
    return answer(_mesh(services).quarantine(name, why.reason, _act(request, services)))


@router.post(
    "/v0/nodes/{name}/release",
    summary="Let a quarantined node work again",
    dependencies=[scope("nodes:write")],
    responses=described(NodeRecord, 400, 401, 403, 404, 409),
    response_class=Response,
)
def release(request: Request, services: ServicesDep, name: _Name) -> Response:
    """The state that it proved last is the one it has to stay in."""
    return answer(_mesh(services).release(name, _act(request, services)))


@router.post(
    "/v0/nodes/{name}/revoke",
    summary="Throw a node out for good",
    dependencies=[scope("nodes:write")],
    responses=described(NodeRecord, *_WRITES),
    openapi_extra=described_body(Why),
    response_class=Response,
)
def revoke(request: Request, services: ServicesDep, name: _Name, why: Annotated[Why, json_body(Why)]) -> Response:
    """Its connections end within seconds, its keys are refused everywhere, and it gets no certificate any more.

    Its name stays taken. What it submitted stays, too.
    """
    return answer(_mesh(services).revoke(name, why.reason, _act(request, services)))
