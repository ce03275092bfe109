"""What a request selects: `q`, and every field of the query language as a parameter of its own."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from fastapi import Request

from spectra.api.tiers import require_fields
from spectra.errors import BadRequest
from spectra.model import query as queries
from spectra.model.fields import NAMES, suggest_field


def query_of(request: Request, q: str, now: datetime, own: Collection[str]) -> queries.Query:
    """The query of a request with the parameters `own` beside those of the language.

    Any other parameter is refused rather than ignored. Raises `BadRequest` naming the field, and `ProRequired` where it
    asks about weaknesses and the caller is Free: a route that calls this has `pro_fields()`.
    """
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in own:
            continue
        if name not in NAMES:
            near = suggest_field(name[:40])
            hint = f"Did you mean {near}?" if near else f"Filters: {', '.join(queries.FIELDS)}."
            raise BadRequest(f"There is no filter {name[:40]}.", field=name[:40], hint=hint)
        if name in given:
            raise BadRequest(f"{name} is given twice.", field=name, hint="Separate values by commas: they mean OR.")
        given[name] = value
    query = queries.parse(q, now, given)
    require_fields(request, (term.field for term in query.terms))
    return query
