"""Second factors: one's own, and as an admin another's to remove. Setting one up asks for the password again."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request
from msgspec import Meta
from starlette.responses import Response

from spectra.api import secondfactors
from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.routes.accounts import plain, require_over
from spectra.api.services import Services
from spectra.api.signin import Source, require_password
from spectra.errors import NotFound
from spectra.model.people import EndedSessions, FactorAdded, FactorList, PasskeyStart, RecoveryCodes, TotpStart
from spectra.store import accounts, factors, sessions
from spectra.store.accounts import Act

router = APIRouter(tags=["accounts"])

_Password = Annotated[str, Meta(max_length=1024)]
_MAX_ID = 64


class NewFactor(msgspec.Struct, forbid_unknown_fields=True):
    """A factor to set up; `password` is the account's, `name` for telling it from others."""

    password: _Password
    name: Annotated[str, Meta(max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class TotpCode(msgspec.Struct, forbid_unknown_fields=True):
    """The code that the app shows."""

    code: Annotated[str, Meta(max_length=64)]


class PasskeyMade(msgspec.Struct, forbid_unknown_fields=True):
    """What `navigator.credentials.create` returned, as JSON: base64url where that has bytes."""

    answer: dict[str, Any]


class PasswordAgain(msgspec.Struct, forbid_unknown_fields=True):
    """The account's password."""

    password: _Password


@router.get(
    "/v0/accounts/me/factors",
    summary="One's own second factors",
    dependencies=[scope("self:read")],
    responses=described(FactorList, 401, 403),
    response_class=Response,
)
def own(request: Request, services: ServicesDep) -> Response:
    """Authenticator apps and passkeys, and how many recovery codes are left."""
    return answer(secondfactors.listed(services, caller_of(request).contributor))


@router.post(
    "/v0/accounts/me/factors/totp",
    summary="Set up an authenticator app",
    status_code=201,
    dependencies=[scope("self:write")],
    responses=described(TotpStart, 400, 401, 403, 408, 413, 429, status=201),
    openapi_extra=described_body(NewFactor),
    response_class=Response,
)
def begin_totp(request: Request, services: ServicesDep, wish: Annotated[NewFactor, json_body(NewFactor)]) -> Response:
    """The secret for the app (RFC 6238). It counts once the app's code was shown."""
    name = _again(request, services, wish.password)
    return answer(secondfactors.begin_totp(services, name, wish.name), 201)


@router.post(
    "/v0/accounts/me/factors/totp/{setup_id}",
    summary="Let an authenticator app count",
    dependencies=[scope("self:write")],
    responses=described(FactorAdded, 400, 401, 403, 404, 408, 413),
    openapi_extra=described_body(TotpCode),
    response_class=Response,
)
def finish_totp(
    request: Request, services: ServicesDep, setup_id: str, wish: Annotated[TotpCode, json_body(TotpCode)]
) -> Response:
    """From now on signing in takes its code. With the first factor come recovery codes."""
    name = caller_of(request).contributor
    return answer(secondfactors.finish_totp(services, name, _known(setup_id), wish.code))


@router.post(
    "/v0/accounts/me/factors/passkey",
    summary="Set up a passkey",
    status_code=201,
    dependencies=[scope("self:write")],
    responses=described(PasskeyStart, 400, 401, 403, 408, 413, 429, status=201),
    openapi_extra=described_body(NewFactor),
    response_class=Response,
)
def begin_passkey(
    request: Request, services: ServicesDep, wish: Annotated[NewFactor, json_body(NewFactor)]
) -> Response:
    """What the browser needs to make it."""
    name = _again(request, services, wish.password)
    return answer(secondfactors.begin_passkey(request, services, name, wish.name), 201)


@router.post(
    "/v0/accounts/me/factors/passkey/{setup_id}",
    summary="Let a passkey count",
    dependencies=[scope("self:write")],
    responses=described(FactorAdded, 400, 401, 403, 404, 408, 409, 413),
    openapi_extra=described_body(PasskeyMade),
    response_class=Response,
)
def finish_passkey(
    request: Request, services: ServicesDep, setup_id: str, wish: Annotated[PasskeyMade, json_body(PasskeyMade)]
) -> Response:
    """From now on it signs in alone, or after the password. With the first factor come recovery codes."""
    name = caller_of(request).contributor
    return answer(secondfactors.finish_passkey(request, services, name, _known(setup_id), wish.answer))


@router.post(
    "/v0/accounts/me/factors/recovery",
    summary="Make new recovery codes",
    status_code=201,
    dependencies=[scope("self:write")],
    responses=described(RecoveryCodes, 400, 401, 403, 408, 413, 429, status=201),
    openapi_extra=described_body(PasswordAgain),
    response_class=Response,
)
def recovery(
    request: Request, services: ServicesDep, wish: Annotated[PasswordAgain, json_body(PasswordAgain)]
) -> Response:
    """Ten, each good once, in the place of those there were."""
    name = _again(request, services, wish.password)
    return answer(secondfactors.new_codes(services, name), 201)


@router.post(
    "/v0/accounts/me/factors/{factor_id}/remove",
    summary="Remove a second factor",
    dependencies=[scope("self:write")],
    responses=described(FactorList, 400, 401, 403, 404, 408, 413, 429),
    openapi_extra=described_body(PasswordAgain),
    response_class=Response,
)
def remove(
    request: Request, services: ServicesDep, factor_id: str, wish: Annotated[PasswordAgain, json_body(PasswordAgain)]
) -> Response:
    """What is left. With the last one the recovery codes go, and the password alone signs in again."""
    name = _again(request, services, wish.password)
    factors.remove(services.database, name, _known(factor_id), Act(name, services.clock()))
    return answer(secondfactors.listed(services, name))


@router.get(
    "/v0/accounts/{account}/factors",
    summary="An account's second factors",
    dependencies=[scope("accounts:read")],
    responses=described(FactorList, 401, 403, 404),
    response_class=Response,
)
def of_account(services: ServicesDep, account: str) -> Response:
    """Without any secret."""
    name = accounts.get(services.database, plain(account)).name
    return answer(secondfactors.listed(services, name))


@router.delete(
    "/v0/accounts/{account}/factors",
    summary="Remove an account's second factors",
    dependencies=[scope("accounts:write")],
    responses=described(FactorList, 401, 403, 404),
    response_class=Response,
)
def reset(request: Request, services: ServicesDep, account: str) -> Response:
    """For who has lost theirs, and the recovery codes: all of them, so that the password alone signs in."""
    name, act = _over(request, services, account)
    factors.remove_all(services.database, name, act)
    return answer(secondfactors.listed(services, name))


@router.delete(
    "/v0/accounts/{account}/sessions",
    summary="End an account's sessions",
    dependencies=[scope("accounts:write")],
    responses=described(EndedSessions, 401, 403, 404),
    response_class=Response,
)
def end_sessions(request: Request, services: ServicesDep, account: str) -> Response:
    """All of them, from their next requests on; the caller's own goes on."""
    name, act = _over(request, services, account)
    ended = sessions.revoke_all(services.database, name, act, keep=caller_of(request).session)
    return answer(EndedSessions(name, ended))


def _again(request: Request, services: Services, password: str) -> str:
    """The caller's account, whose password this is; raises `BadRequest`, `TooOften`."""
    name = caller_of(request).contributor
    require_password(services, name, password, Source.of(request))
    return name


def _over(request: Request, services: Services, account: str) -> tuple[str, Act]:
    caller, name = caller_of(request), plain(account)
    require_over(services, caller, name)
    return name, Act(caller.contributor, services.clock())


def _known(ident: str) -> str:
    if len(ident) > _MAX_ID or not ident.isascii():
        raise NotFound("There is no such factor.", reason="unknown_factor")
    return ident
