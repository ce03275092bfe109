"""Language models: how it stands with them, and what they took."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.ai.gateway.errors import NoModel
from spectra.ai.gateway.gateway import Gateway
from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, require_scope, scope
from spectra.api.routes.hosts import moment
from spectra.api.services import Services
from spectra.errors import BadRequest
from spectra.model.aiusage import By, EgressPage, ProviderPage, UsagePage
from spectra.store import aicalls, aiegress

router = APIRouter(tags=["ai"])

_OTHERS: Final = "accounts:read"
"""The scope that tells what other accounts took."""
_DAYS: Final = 7


@router.get(
    "/v0/ai/providers",
    summary="Providers of language models, in the order in which they are asked",
    dependencies=[scope("ai:read")],
    responses=described(ProviderPage, 401, 403),
    response_class=Response,
)
def providers(services: ServicesDep) -> Response:
    """Which are ready and which are not, why, what may go to each, and what it took today."""
    gateway = gateway_of(services)
    return answer(ProviderPage(providers=list(gateway.providers()), free_text=gateway.settings.free_text))


@router.get(
    "/v0/ai/usage",
    summary="What language models were asked, and what that took",
    dependencies=[scope("ai:read")],
    responses=described(UsagePage, 400, 401, 403),
    response_class=Response,
)
def usage(
    request: Request,
    services: ServicesDep,
    *,
    since: Annotated[str, Query(max_length=64, description="from then on (RFC 3339); 7 days ago by itself")] = "",
    until: Annotated[str, Query(max_length=64, description="before then (RFC 3339); now by itself")] = "",
    by: Annotated[By, Query(description="what to tell apart")] = "day",
    account: Annotated[str, Query(max_length=200, description="of this account; `*`: of all")] = "",
) -> Response:
    """One's own requests; those of others or of all for who may read accounts. No content of any is kept."""
    whose = _whose(request, account)
    end = moment(until, "until") or services.clock()
    start = moment(since, "since") or end - timedelta(days=_DAYS)
    if start > end:
        raise BadRequest("`since` is later than `until`.", field="since")
    rows = aicalls.usage(services.database, start, end, by=by, account=whose)
    return answer(UsagePage(since=start, until=end, by=by, account=whose, usage=rows))


@router.get(
    "/v0/ai/egress",
    summary="Requests that left this machine, newest first",
    dependencies=[scope("ai:read")],
    responses=described(EgressPage, 400, 401, 403, 500),
    response_class=Response,
)
def egress(
    request: Request,
    services: ServicesDep,
    *,
    account: Annotated[str, Query(max_length=200, description="of this account; `*`: of all")] = "",
    cursor: Annotated[str, Query(max_length=20, description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """To models and for look-ups: each an entry of the provenance chain, written before its first byte left. One's own;
    those of others or of all for who may read accounts.
    """
    whose = _whose(request, account)
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise BadRequest("This cursor was not made here.", field="cursor", hint="Start again without one.")
    before = int(cursor) if cursor else None
    found = aiegress.page(services.database, account=whose, before=before, limit=limit + 1)
    page = list(found[:limit])
    return answer(EgressPage(left=page, next_cursor=str(page[-1].seq) if len(found) > limit else ""))


def _whose(request: Request, account: str) -> str:
    """The account that is asked about, empty for all; raises `Forbidden` where the caller may not."""
    caller = caller_of(request)
    whose = account or caller.contributor
    if whose != caller.contributor:
        require_scope(caller, _OTHERS)
    return "" if whose == "*" else whose


def gateway_of(services: Services) -> Gateway:
    """The gateway to language models; raises `NoModel` where this node has none."""
    if services.ai is None:
        raise NoModel("This node asks no language models.", reason="ai_no_provider")
    return services.ai
