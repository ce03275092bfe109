"""Searches that an account keeps under a name, for itself."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request
from msgspec import Meta
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.model import query as queries
from spectra.model.saved import SavedSearch, SavedSearches, checked_name
from spectra.store import saved, search

router = APIRouter(tags=["search"])


class NewSearch(msgspec.Struct, forbid_unknown_fields=True):
    """A query in the language of search, and the order of what it finds."""

    query: Annotated[str, Meta(max_length=queries.MAX_LENGTH)]
    sort: Annotated[str, Meta(max_length=40)] = "last_seen"


@router.get(
    "/v0/searches",
    summary="One's own saved searches",
    dependencies=[scope("search:read")],
    responses=described(SavedSearches, 401, 403),
    response_class=Response,
)
def kept(request: Request, services: ServicesDep) -> Response:
    """All of them, by name; nobody sees those of others."""
    return answer(SavedSearches(saved.listed(services.database, caller_of(request).contributor)))


@router.get(
    "/v0/searches/{name}",
    summary="One saved search",
    dependencies=[scope("search:read")],
    responses=described(SavedSearch, 400, 401, 403, 404),
    response_class=Response,
)
def one(request: Request, services: ServicesDep, name: str) -> Response:
    """Its query and order."""
    return answer(saved.of(services.database, caller_of(request).contributor, checked_name(name)))


@router.put(
    "/v0/searches/{name}",
    summary="Save a search",
    dependencies=[scope("self:write")],
    responses=described(SavedSearch, 400, 401, 403, 408, 409, 413),
    openapi_extra=described_body(NewSearch),
    response_class=Response,
)
def keep(
    request: Request, services: ServicesDep, name: str, wish: Annotated[NewSearch, json_body(NewSearch)]
) -> Response:
    """In the place of one of that name; the query has to be one."""
    now = services.clock()
    queries.parse(wish.query, now)
    search.check(search.Paging(wish.sort))
    own = caller_of(request).contributor
    name, query = checked_name(name), wish.query.strip()
    return answer(saved.keep(services.database, own, name, query, sort=wish.sort, now=now))


@router.delete(
    "/v0/searches/{name}",
    summary="Forget a saved search",
    dependencies=[scope("self:write")],
    responses=described(SavedSearch, 400, 401, 403, 404),
    response_class=Response,
)
def remove(request: Request, services: ServicesDep, name: str) -> Response:
    """It is gone at once; the answer is what it was."""
    return answer(saved.remove(services.database, caller_of(request).contributor, checked_name(name)))
