"""The fields of the query language, described for programs: for completion, forms and other clients."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import scope
from spectra.model import fields

router = APIRouter(tags=["search"])


@router.get(
    "/v0/search/filters",
    summary="Fields of the query language",
    dependencies=[scope("search:read")],
    responses=described(fields.FilterList, 401, 403),
    response_class=Response,
)
def filters() -> Response:
    """Every field with its other names, type, example, choices and operators, and whether it sorts and counts."""
    return answer(fields.filters())
