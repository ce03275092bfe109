"""What agents concluded, and what people decided about it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, require_scope, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.routes.hosts import moment
from spectra.api.tiers import pro
from spectra.errors import BadRequest
from spectra.model.insights import AGENTS, InsightPage, InsightRecord, InsightResolving, Severity
from spectra.store import insights
from spectra.store.accounts import Act
from spectra.store.insights import Wanted

router = APIRouter(tags=["ai"])

_FINDINGS: Final = "findings:read"
_Id = Annotated[str, Path(max_length=64, description="its id, or eight of its first digits or more")]


@router.get(
    "/v0/insights",
    summary="What agents concluded, the worst first",
    dependencies=[scope("ai:read"), pro()],
    responses=described(InsightPage, 400, 401, 403),
    response_class=Response,
)
def page(
    request: Request,
    services: ServicesDep,
    *,
    agent: Annotated[str, Query(max_length=40, description="of this agent alone")] = "",
    kind: Annotated[str, Query(max_length=60, description="such as `dns_tunnel`")] = "",
    severity: Annotated[Severity, Query(description="that one or worse")] = "info",
    state: Annotated[Literal["open", "resolved", "all"], Query()] = "open",
    subject: Annotated[str, Query(max_length=300, description="about this record, such as `host:192.0.2.1`")] = "",
    since: Annotated[str, Query(max_length=64, description="seen since then (RFC 3339)")] = "",
    cursor: Annotated[str, Query(max_length=2000)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Each has what it rests on, the numbers that were looked at with their thresholds, and its label."""
    require_scope(caller_of(request), _FINDINGS)
    if agent and agent not in AGENTS:
        raise BadRequest(f"There is no agent {agent!r}.", field="agent", hint=f"There are {', '.join(AGENTS)}.")
    wanted = Wanted(agent, kind, None if state == "all" else state, severity, subject, moment(since, field="since"))
    return answer(insights.page(services.database, wanted, cursor=cursor, limit=limit))


@router.get(
    "/v0/insights/{id}",
    summary="One insight",
    dependencies=[scope("ai:read"), pro()],
    responses=described(InsightRecord, 400, 401, 403, 404),
    response_class=Response,
)
def one(request: Request, services: ServicesDep, id: _Id) -> Response:
    """With its evidence: records of the store, and lines of what the agent was given."""
    require_scope(caller_of(request), _FINDINGS)
    return answer(insights.get(services.database, id.lower()))


@router.post(
    "/v0/insights/{id}/resolve",
    summary="Put on record that nothing is left to do about an insight",
    dependencies=[scope("ai:write"), pro()],
    responses=described(InsightRecord, 400, 401, 403, 404, 408, 413),
    openapi_extra=described_body(InsightResolving),
    response_class=Response,
)
def resolve(
    request: Request,
    services: ServicesDep,
    id: _Id,
    wanted: Annotated[InsightResolving, json_body(InsightResolving)],
) -> Response:
    """One that was `fixed` opens again where an agent draws it again; others stay resolved."""
    caller = caller_of(request)
    require_scope(caller, _FINDINGS)
    act = Act(caller.contributor, services.clock())
    return answer(insights.resolve(services.database, id.lower(), wanted.resolution, wanted.comment, act))
