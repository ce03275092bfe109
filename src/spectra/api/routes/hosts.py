"""Hosts and names."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.tiers import sees_findings
from spectra.errors import BadRequest
from spectra.flow.judging import JUDGE
from spectra.model.records import HostRecord, NameRecord
from spectra.store import artefacts
from spectra.store import host as hosts
from spectra.store.hostfindings import of_host

router = APIRouter(tags=["hosts"])

MAX_FILES: Final = 20
"""Files of one host; `/v0/artefacts?host=` has all."""


@router.get(
    "/v0/host/{ip}",
    summary="The full graph of a host, now or at any past moment",
    dependencies=[scope("hosts:read")],
    responses=described(HostRecord, 400, 401, 403, 404),
    response_class=Response,
)
def host(
    request: Request,
    services: ServicesDep,
    ip: str,
    at: Annotated[str, Query(description="RFC 3339: the host as it was known to be then")] = "",
    history: Annotated[bool, Query(description="with every version of every endpoint, and who saw it")] = False,
) -> Response:
    """Names, endpoints with service, banner and certificate, evidence; with `history` how they came to be.

    Callers who are Pro and hold `findings:read` are told its findings too, those who hold `jobs:read` which files
    machines sent of scans that saw it.
    """
    address, then = canonical(ip), moment(at)
    record = hosts.host(services.database, address, at=then, history=history, lifetimes=services.lifetimes)
    if sees_findings(request):
        found = of_host(services.database, address, JUDGE, services.clock(), at=then, history=history)
        record = msgspec.structs.replace(
            record, findings=found.findings, findings_total=found.total, findings_settled=found.settled
        )
    else:
        record = msgspec.structs.replace(record, findings_hidden=True)
    if "jobs:read" in caller_of(request).scopes:
        files, more = artefacts.page(services.database, host=address, seen_by=then, limit=MAX_FILES)
        record = msgspec.structs.replace(record, artefacts=tuple(files), artefacts_more=bool(more))
    return answer(record)


@router.get(
    "/v0/hostname/{name}",
    summary="A name and its addresses",
    dependencies=[scope("hosts:read")],
    responses=described(NameRecord, 401, 403, 404),
    response_class=Response,
)
def hostname(services: ServicesDep, name: str) -> Response:
    """A hostname, where it was seen, and what was said about the name itself."""
    return answer(hosts.hostname(services.database, name.lower().rstrip(".")))


def canonical(ip: str) -> str:
    """The address as it is kept: `::ffff:192.0.2.7` as `192.0.2.7`. Raises `BadRequest` for what is none."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError as error:
        raise BadRequest(f"{ip[:80]} is not an IP address.", field="ip", hint="For a name ask /v0/hostname.") from error
    return str(getattr(address, "ipv4_mapped", None) or address)


def moment(text: str, field: str = "at") -> datetime | None:
    """The moment that a parameter names; None where there is none. Raises `BadRequest` naming `field`."""
    if not text:
        return None
    try:
        # A `+` of a time zone that was not percent-encoded arrives as a space.
        at = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:  # overflow: a zone that takes it out of the years 1 to 9999
        hint = "Write it as 2026-03-01T12:00:00Z."
        raise BadRequest(f"{text[:80]} is not a time.", field=field, hint=hint) from error
