"""Looking things up elsewhere: what others say of the CVEs of a host, or of one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from spectra.ai.enrich.service import Enricher
from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, require_scope, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.services import Services
from spectra.api.tiers import pro
from spectra.errors import Unavailable
from spectra.model.enrichment import EnrichAsk, Enrichment

router = APIRouter(tags=["ai"])


@router.post(
    "/v0/ai/enrich",
    summary="Look up what others say of a CVE, or of a host's most urgent ones",
    dependencies=[scope("ai:write"), pro()],
    responses=described(Enrichment, 400, 401, 403, 404, 408, 409, 413),
    openapi_extra=described_body(EnrichAsk),
    response_class=Response,
)
def enrich(request: Request, services: ServicesDep, ask: Annotated[EnrichAsk, json_body(EnrichAsk)]) -> Response:
    """By https from `ai.fetch_hosts` alone, over the configured way out, and only where `ai.fetch` allows it.

    Ids of CVEs are all that is told to those hosts. Pages are stored as they came; what is concluded from them enters
    by the gate as insights with their sources. A model may look further with tools whose arguments are checked here,
    and adds a note; what it asks for and may not have is refused and listed.
    """
    caller = caller_of(request)
    require_scope(caller, "findings:read")
    found = enricher_of(services).enrich(ask, caller.contributor)
    for call in found.refused:
        services.metrics.refused_calls.labels(call.tool, call.reason).inc()
    return answer(found)


def enricher_of(services: Services) -> Enricher:
    """What looks things up; raises `Unavailable` where this node has none."""
    if services.enrich is None:
        raise Unavailable("Nothing is looked up by this node.", reason="ai_no_provider")
    return services.enrich
