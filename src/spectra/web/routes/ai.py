"""Language models: how it stands with each, what they took, and what left this machine for them."""

from __future__ import annotations

from typing import Annotated, Final, get_args

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.model.agents import AgentList
from spectra.model.aiusage import By, EgressPage, ProviderPage, UsagePage
from spectra.web.asked import unless
from spectra.web.charts.bars import Bar, bars
from spectra.web.page import VisitDep, page, query

router = APIRouter(include_in_schema=False)

_AT: Final = "ai"
_PER_PAGE: Final = 50
_BY: Final[tuple[str, ...]] = get_args(By)


@router.get("/ai", dependencies=[page("ai:read")])
async def models(
    visit: VisitDep,
    by: Annotated[str, Query(max_length=20)] = "day",
    cursor: Annotated[str, Query(max_length=20)] = "",
    *,
    all: bool = False,
) -> Response:
    """Providers, the usage of a week and the newest requests that left; of oneself, or of all."""
    by = by if by in _BY else _BY[0]
    account = "*" if all and visit.can("accounts:read") else ""
    api = visit.api
    providers, agents, usage, left = await api.together(
        unless(api.get("/v0/ai/providers", ProviderPage), 503),
        unless(api.get("/v0/ai/agents", AgentList), 503),
        api.get("/v0/ai/usage", UsagePage, by=by, account=account),
        api.get("/v0/ai/egress", EgressPage, account=account, cursor=cursor, limit=_PER_PAGE),
    )
    chart = bars(
        f"Tokens of the last seven days by {by}",
        [Bar(one.group or "none", one.input + one.output) for one in usage.usage],
        heading=by,
        unit="tokens",
    )
    here = {"by": by, "all": bool(account)}
    return await visit.render(
        "ai.html",
        title="Models",
        at=_AT,
        providers=providers.providers if providers else (),
        free_text=providers.free_text if providers else "",
        agents=agents.agents if agents else (),
        usage=usage,
        chart=chart,
        left=left.left,
        by=by,
        kinds=_BY,
        everybody=bool(account),
        first=f"/ai{query(**here)}#left" if cursor else "",
        next=f"/ai{query(**here, cursor=left.next_cursor)}#left" if left.next_cursor else "",
    )
