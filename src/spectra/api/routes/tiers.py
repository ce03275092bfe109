"""Free and Pro: where an account stands, who decides it, and who contributed most."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from msgspec import Meta
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.problems import Forbidden
from spectra.api.routes.accounts import plain, require_over
from spectra.api.services import Services
from spectra.api.tiers import is_pro
from spectra.errors import BadRequest
from spectra.model.tiers import Hand, Leaderboard, Standing
from spectra.store import cursors, ledger, tiers
from spectra.store.accounts import Act

router = APIRouter(tags=["accounts"])


class OwnAccount(msgspec.Struct, forbid_unknown_fields=True):
    """`listed`: whether the account is on the leaderboard."""

    listed: bool


class NewTier(msgspec.Struct, forbid_unknown_fields=True):
    """`pro` or `free`, until then or for ever; `auto`: what follows from role and contributions."""

    tier: Hand
    until: Annotated[datetime, Meta(tz=True)] | None = None


@router.get(
    "/v0/account",
    summary="Where one's own account stands",
    dependencies=[scope("self:read")],
    responses=described(Standing, 401, 403, 404),
    response_class=Response,
)
def own(request: Request, services: ServicesDep) -> Response:
    """Free or Pro, why and until when, and what its observations count for."""
    return answer(_standing(services, caller_of(request).contributor))


@router.put(
    "/v0/account",
    summary="Be on the leaderboard, or not",
    dependencies=[scope("self:write")],
    responses=described(Standing, 400, 401, 403, 404, 408, 413),
    openapi_extra=described_body(OwnAccount),
    response_class=Response,
)
def change_own(request: Request, services: ServicesDep, wish: Annotated[OwnAccount, json_body(OwnAccount)]) -> Response:
    """What is counted stays, and counts: only the name is left out."""
    name = caller_of(request).contributor
    tiers.show(services.database, name, wish.listed, Act(name, services.clock()))
    return answer(_standing(services, name))


@router.get(
    "/v0/accounts/{account}/tier",
    summary="Where an account stands",
    dependencies=[scope("accounts:read")],
    responses=described(Standing, 401, 403, 404),
    response_class=Response,
)
def one(services: ServicesDep, account: str) -> Response:
    """As `/v0/account` says it of one's own."""
    return answer(_standing(services, plain(account)))


@router.put(
    "/v0/accounts/{account}/tier",
    summary="Make an account Pro or Free",
    dependencies=[scope("accounts:write")],
    responses=described(Standing, 400, 401, 403, 404, 408, 413),
    openapi_extra=described_body(NewTier),
    response_class=Response,
)
def put(
    request: Request, services: ServicesDep, account: str, wish: Annotated[NewTier, json_body(NewTier)]
) -> Response:
    """By an admin's hand, whatever its role and its contributions say; it holds from the next request on. Admins are
    always Pro.
    """
    caller, now, name = caller_of(request), services.clock(), plain(account)
    require_over(services, caller, name)
    if name == caller.contributor:
        raise BadRequest("This is your own account.", reason="own_account", hint="Have another admin do it.")
    if wish.tier == "pro" and not is_pro(request):
        raise Forbidden("You are not Pro yourself.", reason="forbidden", hint="Have an admin do it.")
    if wish.until is not None and (wish.tier == "auto" or wish.until <= now):
        raise BadRequest("`until` is not ahead, or of no use here.", field="until", hint="Leave it out: for ever.")
    tiers.give(services.database, name, wish.tier, wish.until, Act(caller.contributor, now))
    return answer(_standing(services, name))


@router.get(
    "/v0/leaderboard",
    summary="Who contributed most",
    dependencies=[scope("status:read")],
    responses=described(Leaderboard, 400, 401, 403),
    response_class=Response,
)
def leaderboard(
    services: ServicesDep,
    span: Annotated[
        Literal["window", "all"], Query(description="the days that count for Pro, or all since ever")
    ] = "window",
    cursor: Annotated[
        str, Query(max_length=cursors.MAX_LENGTH, description="`next_cursor` of the page before, of the same span")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """By endpoints that their observations made fresh, each day up to its bound; without those who opted out."""
    policy = services.tiers
    since = policy.first_day(services.clock().astimezone(UTC).date()) if span == "window" else None
    return answer(ledger.leaderboard(services.database, policy, since=since, cursor=cursor, limit=limit))


def _standing(services: Services, name: str) -> Standing:
    return tiers.of(services.database, name, services.tiers, services.clock())
