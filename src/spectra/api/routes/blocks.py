"""Networks and autonomous systems that may not use this API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from msgspec import Meta
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.guard import address_of, refusals_of
from spectra.errors import BadRequest
from spectra.model.limits import MAX_ASN, Address, BlockRecord, Nets, NetworkText, Written, network_of
from spectra.store import blocks

router = APIRouter(tags=["blocks"])


class Blocks(msgspec.Struct):
    """The blocks in force, oldest first."""

    blocks: list[BlockRecord]


class NewBlock(msgspec.Struct, forbid_unknown_fields=True):
    """A network in CIDR notation or an AS to block, one of the two; with `targets` it is not scanned either."""

    reason: Written
    network: NetworkText | None = None
    asn: Annotated[int, Meta(ge=1, le=MAX_ASN)] | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None
    targets: bool = False


@router.get(
    "/v0/blocks",
    summary="Who may not use this API",
    dependencies=[scope("blocks:read")],
    responses=described(Blocks, 401, 403),
    response_class=Response,
)
def every(services: ServicesDep) -> Response:
    """The blocks in force: networks and autonomous systems, why, since when, and until when."""
    return answer(Blocks(list(blocks.standing(services.database, services.clock()))))


@router.post(
    "/v0/blocks",
    summary="Block a network or an AS",
    status_code=201,
    dependencies=[scope("blocks:write")],
    responses=described(BlockRecord, 400, 401, 403, 408, 409, 413, status=201),
    openapi_extra=described_body(NewBlock),
    response_class=Response,
)
def add(request: Request, services: ServicesDep, new: Annotated[NewBlock, json_body(NewBlock)]) -> Response:
    """In force here at once, and within two seconds at every other coordinator. This machine is never blocked."""
    now = services.clock()
    if new.until is not None and new.until <= now:
        raise BadRequest("`until` is not ahead.", field="until", hint="Leave it out for a block without end.")
    if (new.network is None) == (new.asn is None):
        raise BadRequest("Name either a network or an AS.", field="network")
    network = network_of(new.network) if new.network is not None else None
    _check(refusals_of(request).networks_of(str(network or ""), new.asn or 0), new, address_of(request))
    record = blocks.add(
        services.database,
        network=str(network or ""),
        asn=new.asn or 0,
        reason=new.reason,
        by=caller_of(request).contributor,
        now=now,
        until=new.until,
        targets=new.targets,
    )
    refusals_of(request).changed()
    return answer(record, 201)


@router.delete(
    "/v0/blocks/{block_id}",
    summary="Take a block away",
    dependencies=[scope("blocks:write")],
    responses=described(BlockRecord, 400, 401, 403, 404),
    response_class=Response,
)
def remove(request: Request, services: ServicesDep, block_id: UUID) -> Response:
    """Answers the block as it was."""
    record = blocks.remove(services.database, block_id, by=caller_of(request).contributor, now=services.clock())
    refusals_of(request).changed()
    return answer(record)


def _check(networks: Sequence[str], new: NewBlock, caller: Address | None) -> None:
    """Refuse a block that would have no effect, or lock out who asks for it."""
    field = "asn" if new.asn else "network"
    if not networks:
        raise BadRequest(
            f"No feed knows a network of AS{new.asn}.", field=field, hint="`spectra feeds status` shows what there is."
        )
    if any(network_of(network).is_loopback for network in networks):
        raise BadRequest(
            f"{networks[0]} is this machine, which is never blocked.",
            field=field,
            hint="Its users hold tokens and keys: revoke those.",
        )
    if caller is not None and not caller.is_loopback and caller in Nets(networks):
        raise BadRequest(
            f"You would lock yourself out: {caller} lies in it.",
            reason="own_network",
            field=field,
            hint="Ask from this machine itself, which is never blocked.",
        )
