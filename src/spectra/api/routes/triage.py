"""Decisions about findings: accepted, a false positive, not affected, fixed, looked into, affected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from msgspec import Meta
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.services import Services
from spectra.api.tiers import pro
from spectra.errors import BadRequest, NotFound
from spectra.flow import triage
from spectra.model.findingrecords import TriageStatus
from spectra.model.limits import Line, network_of
from spectra.model.triage import (
    MAX_BULK,
    SCOPES,
    STATUSES,
    Decided,
    DecisionPage,
    DecisionRecord,
    Scope,
    Target,
    Verdict,
    read_target,
    require_justified,
)
from spectra.model.vulns import CVE_ID
from spectra.store import triagelist, triagewrite

router = APIRouter(tags=["findings"])

_Words = Annotated[str, Meta(max_length=64)]
_Cpe = Annotated[str, Meta(max_length=1000)]
_Id = Annotated[str, Meta(min_length=1, max_length=100)]


class Triage(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A decision. `until` is a date, a time or a span from now (`90d`); without it holds for good. `scope` is how wide:
    the endpoint of the finding, its host, or everywhere; with `cpe` only for software of that name, of which `*` and
    what is left out are any.
    """

    status: TriageStatus
    note: Line = ""
    justification: _Words = ""
    until: _Words = ""
    scope: Scope = "endpoint"
    cpe: _Cpe = ""


class ManyTriage(Triage, forbid_unknown_fields=True, kw_only=True):
    """One decision about many findings: those of the ids `findings`, or the open ones of the CVE `cve` at the endpoints
    that `q` selects. For everywhere an id may be a CVE alone, for a host `IP~CVE`. At most 1,000 at once.
    """

    findings: Annotated[tuple[_Id, ...], Meta(max_length=MAX_BULK)] = ()
    q: Annotated[str, Meta(max_length=10_000)] = ""
    cve: _Words = ""


@router.put(
    "/v0/findings/{id}/triage",
    summary="Decide about a finding",
    dependencies=[scope("findings:write"), pro()],
    responses=described(Decided, 400, 401, 403, 404, 408, 413),
    openapi_extra=described_body(Triage),
    response_class=Response,
)
def decide(request: Request, services: ServicesDep, id: str, wish: Annotated[Triage, json_body(Triage)]) -> Response:
    """The decision holds also after the next scan and for findings that come back. It takes the place of one that
    stands for the very same; of several, that for the endpoint outweighs that for the host, and that the one for
    everywhere. Findings that are accepted, false positives, not affected or fixed are left out of lists.
    """
    now = services.clock()
    verdict = _verdict(wish, now)
    targets = triage.named(services.database, [id], wish.scope, wish.cpe)
    return answer(_made(request, services, targets, verdict, now))


@router.delete(
    "/v0/findings/{id}/triage",
    summary="Take a decision about a finding back",
    dependencies=[scope("findings:write"), pro()],
    responses=described(DecisionRecord, 400, 401, 403, 404),
    response_class=Response,
)
def reopen(
    request: Request,
    services: ServicesDep,
    id: str,
    scope: Annotated[Scope, Query(description="which one: that for the endpoint, the host or everywhere")] = "endpoint",
    cpe: Annotated[str, Query(description="the software that it is for, if it names one")] = "",
) -> Response:
    """Answers the decision as it was. One that is wider than `scope` stays, and 404 names it."""
    now = services.clock()
    target = read_target(id, scope, triage.software(cpe))
    try:
        record = triagewrite.take_back(services.database, target, by=caller_of(request).contributor, now=now)
    except NotFound as error:
        raise NotFound(error.message, hint=_wider(services, target, now) or error.hint) from error
    return answer(record)


@router.get(
    "/v0/triage",
    summary="Decisions about findings",
    dependencies=[scope("findings:read"), pro()],
    responses=described(DecisionPage, 400, 401, 403),
    response_class=Response,
)
def listed(
    services: ServicesDep,
    state: Annotated[
        Literal["standing", "ended", "removed", "all"],
        Query(description="those that stand; whose time is over; that were replaced or taken back; or all"),
    ] = "standing",
    cve: Annotated[str, Query(description="of this CVE")] = "",
    status: Annotated[str, Query(description="accepted, fixed ..., or several of them")] = "",
    scope: Annotated[str, Query(description="endpoint, host or everywhere")] = "",
    net: Annotated[str, Query(description="for endpoints and hosts of this network or address")] = "",
    by: Annotated[str, Query(description="the account that said so")] = "",
    origin: Annotated[str, Query(description="the VEX document that says so")] = "",
    cursor: Annotated[str, Query(description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The newest first."""
    filters = triagelist.Filters(
        fate=state,
        cve=cve_id(cve),
        statuses=_statuses(status),
        scope=_scope(scope),
        network=network_of(net, field="net") if net else None,
        by=by,
        origin=origin,
    )
    return answer(triagelist.decisions(services.database, filters, services.clock(), cursor=cursor, limit=limit))


@router.post(
    "/v0/triage",
    summary="Decide about many findings",
    dependencies=[scope("findings:write"), pro()],
    responses=described(Decided, 400, 401, 403, 404, 408, 413),
    openapi_extra=described_body(ManyTriage),
    response_class=Response,
)
def decide_many(
    request: Request, services: ServicesDep, wish: Annotated[ManyTriage, json_body(ManyTriage)]
) -> Response:
    """All or none. A question decides about what it finds now, and not about what a later scan adds to it."""
    now = services.clock()
    verdict = _verdict(wish, now)
    if bool(wish.findings) == bool(wish.q or wish.cve):
        raise BadRequest("Name either `findings`, or `cve` and perhaps `q`.", field="findings")
    if wish.findings:
        targets = triage.named(services.database, wish.findings, wish.scope, wish.cpe)
    else:
        targets = triage.asked(services.database, wish.q, wish.cve, wish.scope, wish.cpe, now)
    return answer(_made(request, services, targets, verdict, now))


@router.delete(
    "/v0/triage/{triage_id}",
    summary="Take a decision back",
    dependencies=[scope("findings:write"), pro()],
    responses=described(DecisionRecord, 400, 401, 403, 404),
    response_class=Response,
)
def remove(request: Request, services: ServicesDep, triage_id: UUID) -> Response:
    """By its id, as lists have it. Answers the decision as it was."""
    now, by = services.clock(), caller_of(request).contributor
    if gone := triagewrite.remove(services.database, [triage_id], by=by, now=now):
        return answer(gone[0])
    known = triagelist.decision(services.database, triage_id)
    raise NotFound(f"Decision {known.id} does not stand any more.", hint="`spectra findings decisions` lists others.")


def _verdict(wish: Triage, now: datetime) -> Verdict:
    require_justified(wish.status, wish.justification)
    return Verdict(wish.status, wish.note.strip(), wish.justification, triage.until(wish.until, now))


def _made(request: Request, services: Services, targets: Sequence[Target], verdict: Verdict, now: datetime) -> Decided:
    by = caller_of(request).contributor
    outcomes = triagewrite.decide(services.database, [(target, verdict) for target in targets], by=by, now=now)
    return Decided(
        tuple(outcome.record for outcome in outcomes),
        tuple(record for outcome in outcomes for record in outcome.replaced),
        sum(outcome.unchanged for outcome in outcomes),
    )


def _wider(services: Services, target: Target, now: datetime) -> str:
    """Which decision may be meant, of those that stand for its CVE."""
    page = triagelist.decisions(services.database, triagelist.Filters(cve=target.cve), now, limit=1000)
    for record in page.decisions:
        if record.ip in ("", target.ip) and (record.port is None or record.port == target.port):
            words = f"`spectra findings reopen {record.id}` takes back the one for {record.target}"
            return f"{words}, {record.status.replace('_', ' ')} since {record.at:%Y-%m-%d}."
    return ""


def cve_id(text: str) -> str:
    """A CVE as it is stored, or nothing; `BadRequest` naming `cve`."""
    if text and not CVE_ID.fullmatch(text.upper()):
        raise BadRequest(f"{text[:40]!r} is no CVE.", field="cve", hint="Write CVE-2024-6387.")
    return text.upper()


def _statuses(text: str) -> tuple[TriageStatus, ...]:
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if wrong := next((word for word in words if word not in STATUSES), ""):
        raise BadRequest(f'"{wrong[:40]}" is no status.', field="status", hint=f"Statuses are {', '.join(STATUSES)}.")
    return tuple(status for status in STATUSES if status in words)


def _scope(text: str) -> Scope | None:
    if text and text not in SCOPES:
        raise BadRequest(f'"{text[:40]}" is no scope.', field="scope", hint=f"Scopes are {', '.join(SCOPES)}.")
    return text or None
