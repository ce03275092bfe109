"""Outlets: where messages of alerts go besides the dashboard, and what is on its way there."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from msgspec.structs import replace
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.services import Services
from spectra.errors import Unavailable
from spectra.flow.notifyflow import NotifyJob
from spectra.model.alerts import DeliveryPage, DeliveryRecord, DeliveryState
from spectra.model.outlets import OutletList, OutletMade, OutletRecord, OutletRequest, OutletTried, shortened
from spectra.store import deliveries, outlets
from spectra.store.accounts import Act

router = APIRouter(tags=["alerts"])

_WRITES: Final = (400, 401, 403, 404)
_Name = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,59}$", description="the outlet's name")]


@router.get(
    "/v0/outlets",
    summary="All outlets",
    dependencies=[scope("alerts:read")],
    responses=described(OutletList, 401, 403),
    response_class=Response,
)
def every(request: Request, services: ServicesDep) -> Response:
    """By name, with what waits there and how the last try went. Targets are whole for who may change them."""
    found = outlets.all_of(services.database)
    return answer(OutletList(tuple(_shown(one, request, services) for one in found)))


@router.get(
    "/v0/outlets/{name}",
    summary="One outlet",
    dependencies=[scope("alerts:read")],
    responses=described(OutletRecord, 400, 401, 403, 404),
    response_class=Response,
)
def one(request: Request, services: ServicesDep, name: _Name) -> Response:
    """Where it leads, what waits there, and how the last try went."""
    return answer(_shown(outlets.get(services.database, name), request, services))


@router.put(
    "/v0/outlets/{name}",
    summary="Make an outlet, or change it",
    dependencies=[scope("outlets:write")],
    responses=described(OutletMade, 400, 401, 403, 408, 409, 413),
    openapi_extra=described_body(OutletRequest),
    response_class=Response,
)
def put(
    request: Request,
    services: ServicesDep,
    name: _Name,
    wanted: Annotated[OutletRequest, json_body(OutletRequest)],
) -> Response:
    """A new webhook is given a secret that its messages are signed with (Standard Webhooks): it is told this once."""
    made = outlets.put(services.database, name, wanted, _act(request, services))
    return answer(replace(made, outlet=_shown(made.outlet, request, services)))


@router.delete(
    "/v0/outlets/{name}",
    summary="Remove an outlet",
    dependencies=[scope("outlets:write")],
    responses=described(OutletRecord, *_WRITES),
    response_class=Response,
)
def remove(request: Request, services: ServicesDep, name: _Name) -> Response:
    """What waits there is not sent any more. Answers the outlet as it was."""
    return answer(_shown(outlets.remove(services.database, name, _act(request, services)), request, services))


@router.post(
    "/v0/outlets/{name}/test",
    summary="Try an outlet",
    dependencies=[scope("outlets:write")],
    responses=described(OutletTried, *_WRITES, 503),
    response_class=Response,
)
def test(request: Request, services: ServicesDep, name: _Name) -> Response:
    """Sends a message that says that it is a test, also by one that is switched off, and tells what came of it."""
    return answer(_job(services).try_out(name, _act(request, services)))


@router.get(
    "/v0/deliveries",
    summary="Messages and where they are, the newest first",
    dependencies=[scope("alerts:read")],
    responses=described(DeliveryPage, 400, 401, 403),
    response_class=Response,
)
def newest(
    services: ServicesDep,
    *,
    outlet: Annotated[str, Query(max_length=60, description="only those by this outlet")] = "",
    state: Annotated[DeliveryState | None, Query(description="only those in this state")] = None,
    alert: Annotated[str, Query(max_length=60, description="only those of this alert")] = "",
    cursor: Annotated[str, Query(max_length=300, description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """How often each was tried, when it is tried again, and why it did not arrive."""
    found = deliveries.page(services.database, outlet=outlet, state=state, alert=alert, cursor=cursor, limit=limit)
    return answer(found)


@router.post(
    "/v0/deliveries/{notification}/{outlet}/again",
    summary="Try a message again",
    dependencies=[scope("alerts:write")],
    responses=described(DeliveryRecord, *_WRITES, 409),
    response_class=Response,
)
def again(
    services: ServicesDep,
    notification: Annotated[str, Path(max_length=100, description="the message's id")],
    outlet: Annotated[str, Path(max_length=60, description="the outlet's name")],
) -> Response:
    """Now, whether it waits, was given up or dropped. One that arrived is not sent twice."""
    found = deliveries.again(services.database, notification, outlet, services.clock())
    if services.notify is not None:
        services.notify.wake()
    return answer(found)


def _shown(record: OutletRecord, request: Request, services: Services) -> OutletRecord:
    """The record with what this node lacks to send by it; less of the target for who may not change it."""
    lacking = services.notify.outlets.lacks(record.kind) if services.notify is not None else ""
    record = replace(record, ready=lacking)
    if "outlets:write" in caller_of(request).scopes:
        return record
    return replace(record, target=shortened(record.kind, record.target), shortened=True)


def _job(services: Services) -> NotifyJob:
    if services.notify is None:
        raise Unavailable("This node sends no messages.", reason="notify_off")
    return services.notify


def _act(request: Request, services: Services) -> Act:
    return Act(caller_of(request).contributor, services.clock())
