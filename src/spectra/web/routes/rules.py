"""Pages of the rules of alerts: all of them, and an editor that says what a rule would have told before it is kept."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from spectra.errors import BadRequest
from spectra.model.alerts import (
    KINDS,
    SEVERITIES,
    AlertPage,
    Group,
    Rule,
    RuleList,
    RuleRecord,
    Trial,
    Trying,
)
from spectra.model.outlets import OutletList
from spectra.web.attempts import attempted
from spectra.web.forms import Form
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "alerts"
_ANSWERED: Final = (400, 409, 422, 504)
_GROUPS: Final = {
    "each": "each thing has its own",
    "host": "all of one host",
    "network": "all of one network (/24, /48)",
    "rule": "all that the rule finds",
}
_NUMBERS: Final = ("threshold", "window_s", "gather_s", "calm_s", "expires_days", "gone_days", "stale_days")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WRONG: Final = {
    "name": "A name has small letters, digits and hyphens, at most 60 of them.",
    "on": "Tick what to watch for.",
    "quiet": "Quiet hours have a begin and an end, as HH:MM.",
}
_NEW: Final = Rule(name="new-rule", on=("host.new",), outlets=("*",))


@router.get("/alerts/rules", dependencies=[page("alerts:read")])
async def every(visit: VisitDep) -> Response:
    """All rules."""
    found = await visit.api.get("/v0/alerts/rules", RuleList)
    return await visit.render("rules.html", title="Rules", at=_AT, rules=found.rules, kinds=KINDS)


@router.get("/alerts/rules/new", dependencies=[page("alerts:write")])
async def new(request: Request, visit: VisitDep) -> Response:
    """An empty rule, or one for the query that a search was made by."""
    rule = msgspec.structs.replace(_NEW, query=request.query_params.get("q", "")[:4096])
    return await _editor(visit, rule, new=True)


@router.post("/alerts/rules/new", dependencies=[page("alerts:write")])
async def create(visit: VisitDep) -> Response:
    """Try the rule of the form, or keep it."""
    return await _taken(visit, await visit.form(), "")


@router.get("/alerts/rules/{rule}", dependencies=[page("alerts:read")])
async def one(visit: VisitDep, rule: str) -> Response:
    """One rule: its editor, for who may change it."""
    found = await visit.api.get(f"/v0/alerts/rules/{rule}", RuleRecord)
    return await _editor(visit, found.rule, record=found)


@router.post("/alerts/rules/{rule}", dependencies=[page("alerts:write")])
async def change(visit: VisitDep, rule: str) -> Response:
    """Try the rule as the form has it, or keep it so."""
    return await _taken(visit, await visit.form(), rule)


@router.post("/alerts/rules/{rule}/switch", dependencies=[page("alerts:write")])
async def switch(visit: VisitDep, rule: str) -> Response:
    """Switch it on or off."""
    form = await visit.form()
    found = await visit.api.get(f"/v0/alerts/rules/{rule}", RuleRecord)
    wanted = msgspec.structs.replace(found.rule, enabled=form.has("on"))
    asked = visit.api.send("PUT", f"/v0/alerts/rules/{rule}", RuleRecord, wanted)
    return await attempted(visit, asked, "/alerts/rules", f"{rule} is {'on' if wanted.enabled else 'off'}.")


@router.post("/alerts/rules/{rule}/remove", dependencies=[page("alerts:write")])
async def remove(visit: VisitDep, rule: str) -> Response:
    """Remove it."""
    await visit.form()
    asked = visit.api.send("DELETE", f"/v0/alerts/rules/{rule}", msgspec.Raw)
    return await attempted(visit, asked, _path(rule), f"The rule {rule} is gone.", on="/alerts/rules")


async def _taken(visit: Visit, form: Form, name: str) -> Response:
    """The form of a rule, that of `name` or a new one: the button says whether it is tried or kept."""
    problem: Problem | BadRequest | None = None
    trial: Trial | None = None
    rule = _NEW
    days = 7
    try:
        days = form.number("days", 7) or 7
        rule = _rule_of(form, name)
        if form.has("try"):
            trial = await visit.api.send("POST", "/v0/alerts/rules/test", Trial, Trying(rule=rule, days=days))
        elif name:
            await visit.api.send("PUT", f"/v0/alerts/rules/{name}", RuleRecord, rule)
        else:
            await visit.api.send("POST", "/v0/alerts/rules", RuleRecord, rule)
    except BadRequest as error:
        problem = error
    except Problem as error:
        if error.status not in _ANSWERED:
            raise
        problem = error
    if problem is None and trial is None:
        return visit.go("/alerts/rules", f"The rule {rule.name} is kept. It watches from now on.")
    return await _editor(visit, rule, new=not name, problem=problem, trial=trial, days=days)


async def _editor(
    visit: Visit,
    rule: Rule,
    *,
    record: RuleRecord | None = None,
    new: bool = False,
    problem: Problem | BadRequest | None = None,
    trial: Trial | None = None,
    days: int = 7,
) -> Response:
    outlets = await visit.api.get("/v0/outlets", OutletList)
    recent = None if new else await visit.api.get("/v0/alerts", AlertPage, rule=rule.name, state="all", limit=10)
    return await visit.render(
        "rule.html",
        title="A new rule" if new else rule.name,
        at=_AT,
        status=_status(problem),
        rule=rule,
        record=record,
        new=new,
        path="/alerts/rules/new" if new else _path(rule.name),
        problem=problem,
        trial=trial,
        days=days,
        kinds=KINDS,
        severities=SEVERITIES,
        grouping=_GROUPS,
        outlets=outlets.outlets,
        weekdays=_DAYS,
        recent=recent.alerts if recent else (),
    )


def _rule_of(form: Form, name: str) -> Rule:
    """The rule that a form says; raises `BadRequest` naming the field."""
    said: dict[str, Any] = {
        "name": name or form.one("name"),
        "on": form.all("on"),
        "query": form.one("query"),
        "severity": form.one("severity", "medium"),
        "outlets": form.all("outlet"),
        "enabled": form.has("enabled"),
        "group": form.one("group", "host"),
        "resolved": form.has("resolved"),
        "note": form.one("note"),
    }
    for field in _NUMBERS:
        if (number := form.number(field)) is not None:
            said[field] = number
    if form.one("quiet_start") or form.one("quiet_end"):
        said["quiet"] = {
            "start": form.one("quiet_start")[:5],
            "end": form.one("quiet_end")[:5],
            "zone": form.one("zone", "UTC"),
            "days": [int(day) for day in form.all("day") if day.isdecimal()],
            "loud": form.one("loud", "critical"),
        }
    if said["group"] not in get_args(Group):
        raise BadRequest("Choose what belongs together from the list.", field="group")
    try:
        return msgspec.convert(said, Rule)
    except msgspec.ValidationError as error:
        words, _, where = str(error).partition(" - at ")
        field = where.strip("`$.").split(".")[0].split("[")[0]
        raise BadRequest(_WRONG.get(field, f"{words}{f' ({field})' if field else ''}."), field=field) from error


def _status(problem: Problem | BadRequest | None) -> int:
    if problem is None:
        return 200
    return problem.status if isinstance(problem, Problem) else 400


def _path(rule: str) -> str:
    return f"/alerts/rules/{segment(rule)}"
