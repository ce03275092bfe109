"""VEX documents: what is said of weaknesses, for and from other tools."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, describe, described, ref
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import read
from spectra.api.selectors import query_of
from spectra.api.tiers import pro
from spectra.flow import vex
from spectra.intel.vex import cyclonedx, openvex
from spectra.model.vex import MAX_BYTES, Format, VexReport

router = APIRouter(tags=["findings"])

_OWN: Final = frozenset({"format", "q", "decided"})
_OPENVEX: Final = "application/json"
_CYCLONEDX: Final = "application/vnd.cyclonedx+json"


async def _body(request: Request) -> bytes:
    """The document, read after the caller was let in."""
    return await read(request, MAX_BYTES)


def _documents() -> dict[int | str, dict[str, Any]]:
    """The responses of an export, in two formats."""
    found = described(openvex.OpenVexDocument, 400, 401, 403, 404)
    describe(cyclonedx.CycloneDxBom)
    found[200]["content"][_CYCLONEDX] = {"schema": {"$ref": ref(cyclonedx.CycloneDxBom)}}
    return found


@router.get(
    "/v0/vex",
    summary="Findings and decisions as a VEX document",
    dependencies=[scope("findings:read"), pro()],
    responses=_documents(),
    response_class=Response,
)
def export(
    request: Request,
    services: ServicesDep,
    format: Annotated[Format, Query(description="`openvex` (0.2.0) or `cyclonedx` (1.6)")] = "openvex",
    q: Annotated[str, Query(description="which findings, such as `net:10.0.0.0/8 severity:critical`")] = "",
    decided: Annotated[bool, Query(description="only what somebody decided")] = False,
) -> Response:
    """Of the open findings that match, at most 10,000. A decision is told for the place that it holds for. What nobody
    decided is `affected` where it is confirmed or likely, with what there is to do, and `under_investigation` where it
    is only possible. Importing the document elsewhere, or here again, gives the decisions it was made of.
    """
    now = services.clock()
    query = query_of(request, q, now, _OWN)
    document = vex.exported(services.database, query, format, caller_of(request).contributor, now, decided=decided)
    if format == "openvex":
        return Response(msgspec.json.encode(openvex.write(document)), media_type=_OPENVEX)
    bom = msgspec.json.encode(cyclonedx.write(document))
    return Response(bom, media_type=f"{_CYCLONEDX}; version=1.6")


@router.post(
    "/v0/vex",
    summary="Read a VEX document: its statements become decisions",
    dependencies=[scope("findings:write"), pro()],
    responses=described(VexReport, 400, 401, 403, 408, 409, 413),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "A document of OpenVEX or of CycloneDX 1.4 or later, in JSON; at most 16 MiB.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
    response_class=Response,
)
def import_(request: Request, services: ServicesDep, data: Annotated[bytes, Depends(_body)]) -> Response:
    """Products are found by address, `IP:PORT`, name of a host, CPE name (an attribute may be a wildcard) and package
    URL; endpoints and hosts as exports name them. What is wrong with a statement, or about nothing here, is told, and
    the others count. A later version of a document replaces what it said before; an older one is refused (409).
    """
    by = caller_of(request).contributor
    return answer(vex.imported(services.database, data, by=by, now=services.clock()))
