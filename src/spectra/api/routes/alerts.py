"""Alerts: what rules found, what people do about it, the rules themselves, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query, Request
from msgspec.structs import replace
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, require_scope, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.routes.hosts import canonical as address
from spectra.api.routes.triage import cve_id
from spectra.api.services import Services
from spectra.errors import BadRequest
from spectra.flow import alertlook, alerttrial
from spectra.model.alerts import (
    ALL_OUTLETS,
    STATES,
    AlertAcknowledging,
    AlertMuting,
    AlertPage,
    AlertRecord,
    AlertState,
    Kind,
    Mute,
    MuteList,
    Muting,
    Rule,
    RuleList,
    RuleRecord,
    Severity,
    Trial,
    Trying,
)
from spectra.store import alertrules, alerts, outlets
from spectra.store.accounts import Act
from spectra.store.alerts import Wanted

router = APIRouter(tags=["alerts"])

_Id = Annotated[str, Path(max_length=60, description="its id, as lists have it")]
_Name = Annotated[str, Path(max_length=60, description="the rule's name")]
_AT_ENDPOINTS: Final[tuple[Kind, ...]] = ("port.opened", "service.new", "service.changed", "certificate.changed")
_AT_HOSTS: Final[tuple[Kind, ...]] = ("host.new", "host.gone", "certificate.expiring")
_NEEDS: Final[dict[str, tuple[Kind, ...]]] = {
    "search:read": (*_AT_ENDPOINTS, *_AT_HOSTS),
    "findings:read": ("finding.new", "kev.match"),
    "nodes:read": ("worker.lost", "envelope.refused"),
    "audit:read": ("signin.strange",),
    "jobs:read": ("job.ended",),
    "feeds:read": ("feed.stale",),
}
"""Scope -> the kinds of things that only those are told of, or may have watched for, who hold it."""
_StateQuery = Literal["open", "firing", "acknowledged", "resolved", "pending", "all"]


def _act(request: Request, services: Services) -> Act:
    return Act(caller_of(request).contributor, services.clock())


# Rules: before what has an id in its path ----------------------------------------------------------------------------


@router.get(
    "/v0/alerts/rules",
    summary="What is watched for",
    dependencies=[scope("alerts:read")],
    responses=described(RuleList, 401, 403),
    response_class=Response,
)
def rules(services: ServicesDep) -> Response:
    """All rules, by name."""
    return answer(RuleList(alertrules.every(services.database)))


@router.get(
    "/v0/alerts/rules/{name}",
    summary="One rule",
    dependencies=[scope("alerts:read")],
    responses=described(RuleRecord, 401, 403, 404),
    response_class=Response,
)
def rule(services: ServicesDep, name: _Name) -> Response:
    """With who changed it last, and how many of its alerts wait for somebody."""
    return answer(alertrules.get(services.database, name))


@router.post(
    "/v0/alerts/rules",
    summary="Watch for something more",
    status_code=201,
    dependencies=[scope("alerts:write")],
    responses=described(RuleRecord, 400, 401, 403, 408, 409, 413, status=201),
    openapi_extra=described_body(Rule),
    response_class=Response,
)
def add(request: Request, services: ServicesDep, wanted: Annotated[Rule, json_body(Rule)]) -> Response:
    """A rule of a new name."""
    return answer(_put(request, services, wanted, new=True), 201)


@router.put(
    "/v0/alerts/rules/{name}",
    summary="Make or change a rule",
    dependencies=[scope("alerts:write")],
    responses=described(RuleRecord, 400, 401, 403, 408, 409, 413),
    openapi_extra=described_body(Rule),
    response_class=Response,
)
def put(request: Request, services: ServicesDep, name: _Name, wanted: Annotated[Rule, json_body(Rule)]) -> Response:
    """Alerts that there are stay; those of a rule that is switched off are resolved."""
    if wanted.name != name:
        raise BadRequest(f"The rule is called {wanted.name!r}, its path says {name[:60]!r}.", field="name")
    return answer(_put(request, services, wanted, new=False))


@router.delete(
    "/v0/alerts/rules/{name}",
    summary="Watch for it no longer",
    dependencies=[scope("alerts:write")],
    responses=described(RuleRecord, 401, 403, 404),
    response_class=Response,
)
def remove(request: Request, services: ServicesDep, name: _Name) -> Response:
    """Its alerts are resolved; the answer is the rule as it was."""
    return answer(alertrules.remove(services.database, name, _act(request, services)))


@router.post(
    "/v0/alerts/rules/test",
    summary="What would a rule have told?",
    dependencies=[scope("alerts:read")],
    responses=described(Trial, 400, 401, 403, 408, 413),
    openapi_extra=described_body(Trying),
    response_class=Response,
)
def try_out(request: Request, services: ServicesDep, wanted: Annotated[Trying, json_body(Trying)]) -> Response:
    """Tried on the submissions of the past, at most 5,000 of them; the rule is not kept."""
    _check_scopes(request, wanted.rule)
    return answer(alerttrial.trial(services.database, wanted.rule, wanted.days, services.clock()))


def _put(request: Request, services: Services, wanted: Rule, *, new: bool) -> RuleRecord:
    _check_scopes(request, wanted)
    alertlook.check(wanted, services.clock())
    known = {one.name for one in outlets.all_of(services.database)}
    for name in wanted.outlets:
        if name != ALL_OUTLETS and name not in known:
            raise BadRequest(
                f"There is no outlet {name!r}.",
                field="outlets",
                hint=f"There are {', '.join(sorted(known))}." if known else "`spectra alerts outlets add` makes one.",
            )
    record = alertrules.put(services.database, wanted, _act(request, services), new=new)
    if services.alerts is not None:
        services.alerts.wake()
    return record


def _check_scopes(request: Request, wanted: Rule) -> None:
    """Who watches for something has to be allowed to read it."""
    for needed, kinds in _NEEDS.items():
        if set(kinds) & set(wanted.on):
            require_scope(caller_of(request), needed)


def _hidden(request: Request) -> tuple[Kind, ...]:
    """What the caller is not told of."""
    held = caller_of(request).scopes
    return tuple(kind for needed, kinds in _NEEDS.items() if needed not in held for kind in kinds)


# What is left out ----------------------------------------------------------------------------------------------------


@router.get(
    "/v0/alerts/mutes",
    summary="What is left out",
    dependencies=[scope("alerts:read")],
    responses=described(MuteList, 401, 403),
    response_class=Response,
)
def mutes(services: ServicesDep) -> Response:
    """The newest first."""
    return answer(MuteList(alertrules.mutes(services.database, services.clock())))


@router.post(
    "/v0/alerts/mutes",
    summary="Leave something out",
    status_code=201,
    dependencies=[scope("alerts:write")],
    responses=described(Mute, 400, 401, 403, 408, 409, 413, status=201),
    openapi_extra=described_body(Muting),
    response_class=Response,
)
def add_mute(request: Request, services: ServicesDep, wanted: Annotated[Muting, json_body(Muting)]) -> Response:
    """One weakness of one service (`ip`, `port`, `protocol`, `cve`), a host (`ip`), or whatever else is given."""
    return answer(alertrules.mute(services.database, _checked(wanted), _act(request, services)), 201)


@router.delete(
    "/v0/alerts/mutes/{id}",
    summary="Leave it out no longer",
    dependencies=[scope("alerts:write")],
    responses=described(Mute, 401, 403, 404),
    response_class=Response,
)
def remove_mute(request: Request, services: ServicesDep, id: _Id) -> Response:
    """What is so still, and lasts, is told then."""
    return answer(alertrules.unmute(services.database, id, _act(request, services)))


def _checked(wanted: Muting) -> Muting:
    if not (wanted.kind or wanted.ip or wanted.cve or wanted.name):
        raise BadRequest(
            "Say what to leave out: ip, cve, name or kind.", field="ip", hint="To switch a rule off, change the rule."
        )
    if bool(wanted.port) != bool(wanted.protocol) or (wanted.port and not wanted.ip):
        raise BadRequest("A port goes with its protocol and the host's ip.", field="port")
    if not wanted.reason.isprintable():
        raise BadRequest("A reason is one line.", field="reason")
    return replace(wanted, ip=address(wanted.ip) if wanted.ip else "", cve=cve_id(wanted.cve.strip()))


# Alerts --------------------------------------------------------------------------------------------------------------


@router.get(
    "/v0/alerts",
    summary="What rules found",
    dependencies=[scope("alerts:read")],
    responses=described(AlertPage, 400, 401, 403),
    response_class=Response,
)
def page(
    request: Request,
    services: ServicesDep,
    *,
    state: Annotated[_StateQuery, Query(description="`open`: firing or acknowledged")] = "open",
    rule: Annotated[str, Query(max_length=60, description="of this rule alone")] = "",
    severity: Annotated[Severity, Query(description="that one or worse")] = "info",
    ip: Annotated[str, Query(max_length=45, description="that tell of this host")] = "",
    cursor: Annotated[str, Query(max_length=2000)] = "",
    limit: Annotated[int, Query(ge=1, le=alerts.MAX_LIMIT)] = 100,
) -> Response:
    """The newest first, each with the newest things it tells of; and how many wait for somebody, by severity.

    Those that tell of what the caller may not read, such as machines or sign-ins, are not among them.
    """
    wanted = Wanted(_states(state), rule, severity, address(ip) if ip else "", _hidden(request))
    return answer(alerts.page(services.database, wanted, cursor=cursor, limit=limit))


def _states(state: _StateQuery) -> tuple[AlertState, ...]:
    match state:
        case "open":
            return ("firing", "acknowledged")
        case "all":
            return STATES[1:]
        case _:
            return (state,)


@router.get(
    "/v0/alerts/{id}",
    summary="One alert",
    dependencies=[scope("alerts:read")],
    responses=described(AlertRecord, 401, 403, 404),
    response_class=Response,
)
def one(request: Request, services: ServicesDep, id: _Id) -> Response:
    """With all that it tells of, at most 500 things."""
    return answer(alerts.get(services.database, id, _hidden(request)))


@router.post(
    "/v0/alerts/ack",
    summary="Look after alerts",
    dependencies=[scope("alerts:write")],
    responses=described(AlertPage, 400, 401, 403, 404, 408, 413),
    openapi_extra=described_body(AlertAcknowledging),
    response_class=Response,
)
def acknowledge(
    request: Request,
    services: ServicesDep,
    wanted: Annotated[AlertAcknowledging, json_body(AlertAcknowledging)],
) -> Response:
    """No more is told of them until they are over. The answer has them as they are now."""
    found = _acknowledged(request, services, wanted.ids, wanted.comment)
    return answer(AlertPage(alerts=found, totals=alerts.totals(services.database, _hidden(request))))


@router.post(
    "/v0/alerts/{id}/ack",
    summary="Look after one alert",
    dependencies=[scope("alerts:write")],
    responses=described(AlertRecord, 400, 401, 403, 404),
    response_class=Response,
)
def acknowledge_one(
    request: Request,
    services: ServicesDep,
    id: _Id,
    comment: Annotated[str, Query(max_length=1000, description="a line about it")] = "",
) -> Response:
    """No more is told of it until it is over."""
    return answer(_acknowledged(request, services, [id], comment)[0])


def _acknowledged(request: Request, services: Services, ids: Sequence[str], comment: str) -> tuple[AlertRecord, ...]:
    return alerts.acknowledge(services.database, ids, comment, _act(request, services), _hidden(request))


@router.post(
    "/v0/alerts/{id}/mute",
    summary="Leave out what an alert tells of",
    dependencies=[scope("alerts:write")],
    responses=described(MuteList, 400, 401, 403, 404, 408, 409, 413),
    openapi_extra=described_body(AlertMuting),
    response_class=Response,
)
def mute(
    request: Request, services: ServicesDep, id: _Id, wanted: Annotated[AlertMuting, json_body(AlertMuting)]
) -> Response:
    """Each thing it names is left out of that rule from now on: one weakness of one service, one host."""
    if not wanted.reason.isprintable():
        raise BadRequest("A reason is one line.", field="reason")
    record = alerts.get(services.database, id, _hidden(request))
    made = alerts.mute(record, services.database, wanted.until, wanted.reason, _act(request, services))
    return answer(MuteList(made))
