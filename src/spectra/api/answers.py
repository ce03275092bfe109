"""Answers are msgspec structs: encoded fast, and described in the OpenAPI document by their own types."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

from spectra.api.problems import MEDIA_TYPE

_REF: Final = "#/components/schemas/{name}"
_encode = msgspec.json.Encoder().encode


class ProblemDetails(msgspec.Struct, omit_defaults=True):
    """RFC 9457 problem details. `reason` is stable; `detail` and `hint` are for people."""

    type: str
    title: str
    status: int
    detail: str
    reason: str
    request_id: str
    hint: str = ""
    field: str = ""
    column: int = 0
    line: int = 0
    retry_after: float = 0.0
    observation_id: str = ""
    tried: list[str] = []
    """Providers of language models that were asked or passed over, and why, in their order."""


def answer(value: object, status: int = 200) -> Response:
    """`value` as JSON."""
    return Response(_encode(value), status_code=status, media_type="application/json")


def described(kind: type, *others: int, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers `kind`, or a problem with one of the statuses `others`."""
    documents: dict[int | str, dict[str, Any]] = {
        status: {"description": (kind.__doc__ or kind.__name__).partition("\n")[0], "content": _content(kind)}
    }
    for other in (*others, 503, 504):  # the database is away, or takes too long
        documents[other] = a_problem()
    return documents


def a_problem() -> dict[str, Any]:
    """A response of the document that is a problem."""
    return {"description": "Problem", "content": _content(ProblemDetails, MEDIA_TYPE)}


def _content(kind: type, media_type: str = "application/json") -> dict[str, Any]:
    describe(kind)
    return {media_type: {"schema": {"$ref": ref(kind)}}}


def ref(kind: type) -> str:
    """Where the OpenAPI document has the schema of `kind`."""
    return _REF.format(name=kind.__name__)


def describe(kind: type) -> None:
    """Have the schema of `kind` in the OpenAPI document."""
    _described.add(kind)


_described: set[type] = set()


def components() -> dict[str, Any]:
    """The JSON Schemas of all kinds of answer, by name."""
    kinds = sorted(_described, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    return schemas
