"""Agents: detectors over alerts, logs, findings and the history of scans, and what they conclude."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from spectra.ai.agents.logs.lines import MAX_BYTES
from spectra.api import bodies
from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, require_scope, scope
from spectra.api.services import Services
from spectra.api.tiers import pro
from spectra.errors import Unavailable
from spectra.flow.agents import Agents
from spectra.model.agents import AGENTS_HERE, AgentList, AgentRun

router = APIRouter(tags=["ai"])

_FINDINGS: Final = "findings:read"
"""What agents conclude tells of findings."""
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": False,
        "description": "What the agent reads, as the program wrote it; none for agents that read the store.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def _given(request: Request) -> bytes:
    """The body, after the caller was let in."""
    require_scope(caller_of(request), _FINDINGS)
    return await bodies.read(request, MAX_BYTES)


@router.get(
    "/v0/ai/agents",
    summary="The agents, and what each reads",
    dependencies=[scope("ai:read")],
    responses=described(AgentList, 401, 403),
    response_class=Response,
)
def every(services: ServicesDep) -> Response:
    """Each works without a language model; with one, what it finds may have a note."""
    return answer(AgentList(agents=AGENTS_HERE, notes=agents_of(services).notes))


@router.post(
    "/v0/ai/agents/{agent}",
    summary="Let an agent look",
    dependencies=[scope("ai:write"), pro()],
    responses=described(AgentRun, 400, 401, 403, 404, 408, 413, 503),
    openapi_extra=_BODY,
    response_class=Response,
)
def run(
    request: Request,
    services: ServicesDep,
    raw: Annotated[bytes, Depends(_given)],
    *,
    agent: Annotated[str, Path(max_length=40, description="such as `dns-guard`")],
    note: Annotated[bool, Query(description="whether a model may add words")] = True,
    checklists: Annotated[str, Query(max_length=100, description="of Config Advisor, such as `anssi,nis2`")] = "",
) -> Response:
    """What it concludes is signed by this node, verified, and kept; the same conclusion again is the same insight.

    At most 32 MB and 400,000 lines at once. A run with the same input changes nothing but when it was seen last.
    """
    names = tuple(name.strip().lower() for name in checklists.split(",") if name.strip())
    account = caller_of(request).contributor
    return answer(agents_of(services).run(agent, raw, account=account, note=note, checklists=names))


def agents_of(services: Services) -> Agents:
    """Raises `Unavailable` where this node has none."""
    if services.agents is None:
        raise Unavailable("This node runs no agents.", reason="no_agents")
    return services.agents
