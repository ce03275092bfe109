"""The first start, and letting devices in."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request
from msgspec import Meta
from starlette.responses import Response

from spectra.api import devices, setup
from spectra.api.answers import answer, described
from spectra.api.auth import SIGN_IN, ServicesDep, caller_of, open_to, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.rates import TooOften
from spectra.api.routes.accounts import NAME_PATTERN
from spectra.api.signin import Refused
from spectra.identity.roles import PUBLIC
from spectra.model.people import DeviceRecord, SetupDone, SetupLink, SetupState

router = APIRouter(tags=["auth"])


class FirstAccount(msgspec.Struct, forbid_unknown_fields=True):
    """The first account: an admin's. `token` is the secret of the set-up link."""

    token: Annotated[str, Meta(max_length=100)]
    name: Annotated[str, Meta(pattern=NAME_PATTERN)]
    password: Annotated[str, Meta(max_length=512)]


class DeviceDecision(msgspec.Struct, forbid_unknown_fields=True):
    """Whether a device is let in to one's account."""

    allow: bool


@router.get(
    "/v0/setup",
    summary="Whether the first account is still to be made",
    dependencies=[open_to(PUBLIC)],
    responses=described(SetupState),
    response_class=Response,
)
def state(services: ServicesDep) -> Response:
    """It is as long as nobody has a password."""
    return answer(SetupState(setup.is_open(services)))


@router.post(
    "/v0/setup",
    summary="Make the first account",
    status_code=201,
    dependencies=[open_to(SIGN_IN)],
    responses=described(SetupDone, 400, 408, 409, 413, status=201),
    openapi_extra=described_body(FirstAccount),
    response_class=Response,
)
def first(services: ServicesDep, wish: Annotated[FirstAccount, json_body(FirstAccount)]) -> Response:
    """By the link that the coordinator showed on its terminal, once."""
    return answer(SetupDone(setup.redeem(services, wish.token, wish.name, wish.password)), 201)


@router.post(
    "/v0/auth/setup-link",
    summary="Make a set-up link",
    status_code=201,
    dependencies=[scope("admin:all")],
    responses=described(SetupLink, 401, 403, 409, status=201),
    response_class=Response,
)
def link(services: ServicesDep) -> Response:
    """In the place of the one before, for a day; only as long as nobody has a password."""
    return answer(setup.new_link(services), 201)


@router.get(
    "/v0/auth/devices/{user_code}",
    summary="A device that waits to be let in",
    dependencies=[scope("self:read")],
    responses=described(DeviceRecord, 401, 403, 404, 429),
    response_class=Response,
)
def waiting(request: Request, services: ServicesDep, user_code: str) -> Response:
    """What it says it is, and where it asked from."""
    try:
        return answer(devices.find(services, caller_of(request), user_code[:40]))
    except Refused as error:
        raise TooOften("Somebody", error.retry_after_s) from error


@router.post(
    "/v0/auth/devices/{user_code}",
    summary="Let a device in, or refuse it",
    dependencies=[scope("self:write")],
    responses=described(DeviceRecord, 400, 401, 403, 404, 408, 413, 429),
    openapi_extra=described_body(DeviceDecision),
    response_class=Response,
)
def decide(
    request: Request, services: ServicesDep, user_code: str, wish: Annotated[DeviceDecision, json_body(DeviceDecision)]
) -> Response:
    """To one's own account, with no more than this session holds. Once."""
    try:
        return answer(devices.decide(services, caller_of(request), user_code[:40], allow=wish.allow))
    except Refused as error:
        raise TooOften("Somebody", error.retry_after_s) from error
