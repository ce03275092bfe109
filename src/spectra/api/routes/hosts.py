"""Hosts and names."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.errors import BadRequest
from spectra.model.records import HostRecord, NameRecord
from spectra.store import host as hosts

router = APIRouter(tags=["hosts"])


@router.get(
    "/v0/host/{ip}",
    summary="The full graph of a host, now or at any past moment",
    dependencies=[scope("hosts:read")],
    responses=described(HostRecord, 400, 401, 403, 404),
    response_class=Response,
)
def host(
    services: ServicesDep,
    ip: str,
    at: Annotated[str, Query(description="RFC 3339: the host as it was known to be then")] = "",
    history: Annotated[bool, Query(description="with every version of every endpoint, and who saw it")] = False,
) -> Response:
    """Names, endpoints with service, banner and certificate, evidence; with `history` how they came to be."""
    record = hosts.host(services.database, canonical(ip), at=_moment(at), history=history, lifetimes=services.lifetimes)
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


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        # A `+` of a time zone that was not percent-encoded arrives as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:  # overflow: a zone that takes it out of the years 1 to 9999
        raise BadRequest(f"{text[:80]} is not a time.", field="at", hint="Write it as 2026-03-01T12:00:00Z.") from error
