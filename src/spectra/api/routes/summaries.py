"""Targets in words, by a model that cites facts or by rules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from spectra.ai.explain.summary import Explainer
from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, require_scope, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.routes.hosts import canonical
from spectra.api.services import Services
from spectra.api.tiers import pro, require_fields
from spectra.errors import BadRequest, Unavailable
from spectra.model.query import parse
from spectra.model.summaries import AiSummary, SummaryRequest, Target

router = APIRouter(tags=["ai"])

_READS: Final = {"ip": "hosts:read", "host": "hosts:read", "query": "search:read"}
_MAX_BYTES: Final = 32 * 1024


@router.post(
    "/v0/ai/summary",
    summary="A host, a name or what a query finds, in three points that cite records",
    dependencies=[scope("ai:ask"), pro()],
    responses=described(AiSummary, 400, 401, 403, 404, 408, 413),
    openapi_extra=described_body(SummaryRequest),
    response_class=Response,
)
def summarise(
    request: Request, services: ServicesDep, wanted: Annotated[SummaryRequest, json_body(SummaryRequest, _MAX_BYTES)]
) -> Response:
    """Summary, risks and next steps, by the first model that may see the facts and answers well within the deadline of
    summaries; else by rules over the same facts, of the same shape, with the reason (`by`, `why`).

    Each sentence cites ids of records. Weaknesses are told of to who may read findings. What is asked as a question is
    the asker's own text: it leaves the machine only where the settings allow that.
    """
    caller = caller_of(request)
    require_scope(caller, _READS[wanted.kind])
    target = _target(request, wanted, services.clock())
    made = explainer_of(services).summary(
        target,
        caller.contributor,
        wanted.question,
        findings="findings:read" in caller.scopes,
        rules=wanted.rules,
    )
    return answer(made)


def explainer_of(services: Services) -> Explainer:
    """What makes summaries; raises `Unavailable` where this node makes none."""
    if services.explainer is None:
        raise Unavailable("This node makes no summaries.", reason="ai_no_provider")
    return services.explainer


def _target(request: Request, wanted: SummaryRequest, now: datetime) -> Target:
    """The target in its canonical form; raises `BadRequest`, and for questions about weaknesses as `require_fields`."""
    text = wanted.target.strip()
    if wanted.kind == "ip":
        return Target("ip", canonical(text))
    if wanted.kind == "query":
        require_fields(request, (term.field for term in parse(text, now).terms))
        return Target("query", text)
    if not text:
        raise BadRequest("A target is missing.", field="target")
    return Target("host", text.lower().rstrip("."))
