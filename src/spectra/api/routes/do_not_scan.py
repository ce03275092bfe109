"""Networks that are never scanned, and the form by which anybody may ask for that."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, open_to, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.guard import address_of, refusals_of
from spectra.api.limits import limited_source
from spectra.api.rates import TooOften
from spectra.errors import BadRequest
from spectra.identity.roles import PUBLIC
from spectra.model.limits import (
    Contact,
    DoNotScanEntry,
    DoNotScanList,
    DoNotScanRequest,
    Line,
    NetworkText,
    Written,
    network_of,
    source_network,
)
from spectra.store import do_not_scan

router = APIRouter(tags=["do-not-scan"])

MAX_FORM_BYTES: Final = 8 * 1024
_LARGEST: Final = {4: 8, 6: 16}  # prefix lengths: a larger network has no one holder who could ask
_FULL_WAIT_S: Final = 3600.0


class Form(msgspec.Struct, forbid_unknown_fields=True):
    """Who does not want to be scanned: the network (CIDR), how to reach you, and why. Nobody but the admins of this
    node is shown your contact.
    """

    network: NetworkText
    contact: Contact
    reason: Written


class Asked(msgspec.Struct):
    """The request is kept; an admin decides."""

    request_id: str
    network: str
    status: str


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """Why it is decided so; it stands in the provenance chain."""

    note: Line = ""


class NewEntry(msgspec.Struct, forbid_unknown_fields=True):
    """A network to put on the list."""

    network: NetworkText
    reason: Line = ""


class Requests(msgspec.Struct, omit_defaults=True):
    """Requests, newest first; `next_cursor` is opaque and left out on the last page."""

    requests: list[DoNotScanRequest]
    next_cursor: str = ""


class Entries(msgspec.Struct, omit_defaults=True):
    """Entries by network; `next_cursor` is opaque and left out on the last page."""

    entries: list[DoNotScanEntry]
    next_cursor: str = ""


@router.post(
    "/v0/do-not-scan",
    summary="Ask not to be scanned",
    status_code=202,
    dependencies=[open_to(PUBLIC), limited_source("do_not_scan")],
    responses=described(Asked, 400, 403, 408, 413, 429, status=202),
    openapi_extra=described_body(Form),
    response_class=Response,
)
def ask(request: Request, services: ServicesDep, form: Annotated[Form, json_body(Form, MAX_FORM_BYTES)]) -> Response:
    """No account is needed. An admin looks at the request; what is approved is never scanned from then on."""
    network = network_of(form.network)
    if network.prefixlen < _LARGEST[network.version]:
        raise BadRequest(
            f"{network} is too large to be one holder's: /{_LARGEST[network.version]} at most.", field="network"
        )
    address = address_of(request)
    kept = do_not_scan.ask(
        services.database,
        network=str(network),
        contact=form.contact,
        reason=form.reason,
        source=str(source_network(address)) if address else "127.0.0.0/24",
        now=services.clock(),
    )
    if kept is None:
        raise TooOften("All together have", _FULL_WAIT_S)
    return answer(Asked(kept.request_id, kept.network, kept.status), 202)


@router.get(
    "/v0/do-not-scan",
    summary="What is never scanned",
    dependencies=[open_to(PUBLIC)],
    responses={
        **described(DoNotScanList, 403),
        200: {
            "description": DoNotScanList.__doc__,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/DoNotScanList"}},
                "text/plain": {"schema": {"type": "string"}},
            },
        },
    },
    response_class=Response,
)
def public(request: Request, accept: Annotated[str, Header(include_in_schema=False)] = "") -> Response:
    """For scanners: `Accept: text/plain` has one network a line, anything else JSON. At most two seconds old."""
    found = refusals_of(request).targets()
    if _prefers_text(accept):
        return Response("".join(f"{network}\n" for network in found.networks), media_type="text/plain")
    return answer(found)


@router.get(
    "/v0/do-not-scan/requests",
    summary="Who asked not to be scanned",
    dependencies=[scope("exclusions:read")],
    responses=described(Requests, 400, 401, 403),
    response_class=Response,
)
def requests(
    services: ServicesDep,
    status: Annotated[Literal["", "pending", "approved", "rejected"], Query()] = "",
    cursor: Annotated[str, Query(max_length=100)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Requests with their contact, newest first."""
    after = _moment_and_id(cursor) if cursor else None
    found = do_not_scan.requests(services.database, status=status, limit=limit + 1, after=after)
    page = list(found[:limit])
    more = len(found) > limit
    return answer(Requests(page, f"{page[-1].received.isoformat()}_{page[-1].request_id}" if more else ""))


@router.post(
    "/v0/do-not-scan/requests/{request_id}/approve",
    summary="Grant a request",
    dependencies=[scope("exclusions:write")],
    responses=described(DoNotScanRequest, 400, 401, 403, 404, 408, 409, 413),
    openapi_extra=described_body(Decision),
    response_class=Response,
)
def approve(
    request: Request, services: ServicesDep, request_id: UUID, decision: Annotated[Decision, json_body(Decision)]
) -> Response:
    """Its network is on the list from now on."""
    by = caller_of(request).contributor
    decided = do_not_scan.approve(services.database, request_id, by=by, now=services.clock(), note=decision.note)
    refusals_of(request).changed()
    return answer(decided)


@router.post(
    "/v0/do-not-scan/requests/{request_id}/reject",
    summary="Turn a request down",
    dependencies=[scope("exclusions:write")],
    responses=described(DoNotScanRequest, 400, 401, 403, 404, 408, 409, 413),
    openapi_extra=described_body(Decision),
    response_class=Response,
)
def reject(
    request: Request, services: ServicesDep, request_id: UUID, decision: Annotated[Decision, json_body(Decision)]
) -> Response:
    """Nothing changes; the decision stands on record."""
    by = caller_of(request).contributor
    return answer(do_not_scan.reject(services.database, request_id, by=by, now=services.clock(), note=decision.note))


@router.get(
    "/v0/do-not-scan/entries",
    summary="The list with who put what on it",
    dependencies=[scope("exclusions:read")],
    responses=described(Entries, 400, 401, 403),
    response_class=Response,
)
def entries(
    services: ServicesDep,
    cursor: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Entries by network."""
    after = str(network_of(cursor, field="cursor")) if cursor else ""
    found = do_not_scan.entries(services.database, limit=limit + 1, after=after)
    page = list(found[:limit])
    return answer(Entries(page, page[-1].network if len(found) > limit else ""))


@router.post(
    "/v0/do-not-scan/entries",
    summary="Put a network on the list",
    status_code=201,
    dependencies=[scope("exclusions:write")],
    responses=described(DoNotScanEntry, 400, 401, 403, 408, 413, status=201),
    openapi_extra=described_body(NewEntry),
    response_class=Response,
)
def add(request: Request, services: ServicesDep, new: Annotated[NewEntry, json_body(NewEntry)]) -> Response:
    """Answers the entry there is where the network is on the list already."""
    entry = do_not_scan.add(
        services.database,
        network=str(network_of(new.network)),
        reason=new.reason,
        by=caller_of(request).contributor,
        now=services.clock(),
    )
    refusals_of(request).changed()
    return answer(entry, 201)


@router.delete(
    "/v0/do-not-scan/entries/{entry_id}",
    summary="Take a network off the list",
    dependencies=[scope("exclusions:write")],
    responses=described(DoNotScanEntry, 400, 401, 403, 404),
    response_class=Response,
)
def remove(request: Request, services: ServicesDep, entry_id: UUID) -> Response:
    """Answers the entry as it was."""
    entry = do_not_scan.remove(services.database, entry_id, by=caller_of(request).contributor, now=services.clock())
    refusals_of(request).changed()
    return answer(entry)


def _prefers_text(accept: str) -> bool:
    """Whether `text/plain` is named, and JSON is not named before it (quality values are not weighed)."""
    words = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return "text/plain" in words and "application/json" not in words[: words.index("text/plain")]


def _moment_and_id(cursor: str) -> tuple[datetime, UUID]:
    try:
        received, _, request_id = cursor.partition("_")
        return datetime.fromisoformat(received), UUID(request_id)
    except ValueError as error:
        raise BadRequest("This cursor was not made here.", field="cursor", hint="Start again without one.") from error
