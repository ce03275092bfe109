"""Coverage: how fresh the graph is, and where it never looked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.selectors import query_of
from spectra.api.tiers import pro_fields
from spectra.model import query as queries
from spectra.model.plans import Coverage
from spectra.model.values import Numbers
from spectra.store import coverage
from spectra.store.staleness import Ages

router = APIRouter(tags=["coverage"])

MAX_SYSTEMS: Final = 50
"""Autonomous systems of a question whose networks are looked through for gaps."""


@router.get(
    "/v0/coverage",
    summary="How fresh a selection is, and its gaps",
    dependencies=[scope("coverage:read"), pro_fields()],
    responses=described(Coverage, 400, 401, 403),
    response_class=Response,
)
def read(
    request: Request,
    services: ServicesDep,
    q: Annotated[str, Query(description="such as `country:FR service:http`, in the language of search")] = "",
) -> Response:
    """Ages, what is stale by the lifetime of its service, and networks never seen. Each filter of the language may
    also be given as a parameter of its name.
    """
    at = services.clock()
    query = query_of(request, q, at, {"q"})
    systems = list(_systems(query))
    prefixes = [net for number in systems[:MAX_SYSTEMS] for net in services.networks.prefixes(number)]
    asked = coverage.Also(tuple(prefixes), whole=len(systems) <= MAX_SYSTEMS)
    return answer(coverage.coverage(services.database, query, Ages(at, services.lifetimes), asked))


def _systems(query: queries.Query) -> Iterator[int]:
    """The autonomous systems that `query` names, one more than are looked through at most."""
    for term in query.terms:
        if term.field == "asn" and not term.negated:
            for value in term.values:
                if isinstance(value, Numbers):
                    yield from range(value.low, min(value.high, value.low + MAX_SYSTEMS) + 1)
