"""Pages of alerts: what rules found, one of them, and what is left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from spectra.errors import BadRequest
from spectra.model.alerts import KINDS, SEVERITIES, AlertPage, AlertRecord, DeliveryPage, Mute, MuteList, RuleList
from spectra.web.asked import unless
from spectra.web.attempts import attempted
from spectra.web.forms import Form
from spectra.web.next import own_path
from spectra.web.page import Visit, VisitDep, page, query
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "alerts"
_LIMIT: Final = 50
_STATES: Final = (
    ("open", "Open"),
    ("firing", "Nobody looks after"),
    ("acknowledged", "Looked after"),
    ("resolved", "Over"),
    ("pending", "Below the threshold"),
    ("all", "All"),
)
_SPANS: Final = (("1h", "an hour"), ("1d", "a day"), ("7d", "a week"), ("30d", "30 days"), ("", "good"))
_LENGTHS: Final = {
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}


@router.get("/alerts", dependencies=[page("alerts:read")])
async def every(request: Request, visit: VisitDep) -> Response:
    """Alerts, the newest first; open ones unless others are asked for."""
    given = request.query_params
    asked: dict[str, str] = {name: given.get(name, "") for name in ("state", "rule", "severity", "ip")}
    cursor = given.get("cursor", "")
    found, known = await visit.api.together(
        visit.api.get("/v0/alerts", AlertPage, **asked, cursor=cursor, limit=_LIMIT),
        visit.api.get("/v0/alerts/rules", RuleList),
    )
    return await visit.render(
        "alerts.html",
        title="Alerts",
        at=_AT,
        alerts=found.alerts,
        totals=found.totals,
        asked=asked,
        states=_STATES,
        severities=SEVERITIES,
        rules=known.rules,
        next=query(**asked, cursor=found.next_cursor) if found.next_cursor else "",
        first=f"/alerts{query(**asked)}" if cursor else "",
        spans=_SPANS,
    )


@router.post("/alerts", dependencies=[page("alerts:write")])
async def decide(visit: VisitDep) -> Response:
    """What is to become of those that are ticked: somebody looks after them, or they are left out for a while."""
    form = await visit.form()
    ids, back = form.all("id")[:500], _back(form)
    if not ids:
        return visit.go(back, "Tick the alerts first.", bad=True)
    if form.has("mute"):
        return await _mute_all(visit, form, ids, back)
    body = {"ids": ids, "comment": form.one("comment")}
    asked = visit.api.send("POST", "/v0/alerts/ack", AlertPage, body)
    return await attempted(visit, asked, back, f"{len(ids)} looked after.")


@router.get("/alerts/mutes", dependencies=[page("alerts:read")])
async def mutes(visit: VisitDep) -> Response:
    """What is left out."""
    found = await visit.api.get("/v0/alerts/mutes", MuteList)
    return await visit.render(
        "alert_mutes.html", title="Left out", at=_AT, mutes=found.mutes, kinds=KINDS, spans=_SPANS, form=Form([])
    )


@router.post("/alerts/mutes", dependencies=[page("alerts:write")])
async def mute(visit: VisitDep) -> Response:
    """Leave something out: a host, a weakness on one service, a kind of thing."""
    form = await visit.form()
    body = {name: form.one(name) for name in ("rule", "kind", "ip", "cve", "name", "protocol", "reason")}
    body |= {"port": form.number("port", 0), "until": _until(form)}
    asked = visit.api.send("POST", "/v0/alerts/mutes", Mute, body)
    return await attempted(visit, asked, "/alerts/mutes", "It is left out from now on.")


@router.post("/alerts/mutes/{mute}/remove", dependencies=[page("alerts:write")])
async def unmute(visit: VisitDep, mute: str) -> Response:
    """Tell of it again."""
    await visit.form()
    asked = visit.api.send("DELETE", f"/v0/alerts/mutes/{mute}", Mute)
    return await attempted(visit, asked, "/alerts/mutes", "It is told again from now on.")


@router.get("/alerts/{alert}", dependencies=[page("alerts:read")])
async def one(visit: VisitDep, alert: str) -> Response:
    """One alert: what it tells of, what was sent of it, and what can be done."""
    found = await visit.api.get(f"/v0/alerts/{alert}", AlertRecord)
    sent = await unless(visit.api.get("/v0/deliveries", DeliveryPage, alert=alert, limit=50), 403)
    return await visit.render(
        "alert.html",
        title=found.title,
        at=_AT,
        alert=found,
        path=f"/alerts/{segment(alert)}",
        sent=sent.deliveries if sent else (),
        kinds=KINDS,
        spans=_SPANS,
    )


@router.post("/alerts/{alert}/ack", dependencies=[page("alerts:write")])
async def acknowledge(visit: VisitDep, alert: str) -> Response:
    """Somebody looks after it."""
    form = await visit.form()
    asked = visit.api.send("POST", "/v0/alerts/ack", AlertPage, {"ids": [alert], "comment": form.one("comment")})
    return await attempted(visit, asked, f"/alerts/{segment(alert)}", "You look after it.")


@router.post("/alerts/{alert}/mute", dependencies=[page("alerts:write")])
async def mute_one(visit: VisitDep, alert: str) -> Response:
    """Leave out what it tells of."""
    form = await visit.form()
    asked = _mute(visit, alert, form)
    return await attempted(visit, asked, f"/alerts/{segment(alert)}", "What it tells of is left out from now on.")


async def _mute_all(visit: Visit, form: Form, ids: list[str], back: str) -> Response:
    async def ask() -> None:
        for alert in ids:
            await _mute(visit, alert, form)

    return await attempted(visit, ask(), back, f"What {len(ids)} tell of is left out from now on.")


async def _mute(visit: Visit, alert: str, form: Form) -> None:
    body = {"until": _until(form), "reason": form.one("comment")}
    await visit.api.send("POST", f"/v0/alerts/{alert}/mute", MuteList, body)


def _until(form: Form) -> datetime | None:
    """When it is told again; None for never. Raises `BadRequest` for a length that is not offered."""
    chosen = form.one("for")
    if chosen and chosen not in _LENGTHS:
        raise BadRequest("Choose how long from the list.", field="for")
    return datetime.now(UTC) + _LENGTHS[chosen] if chosen else None


def _back(form: Form) -> str:
    """The list as it was looked at."""
    path = own_path(form.one("next"), "/alerts")
    return path if path.startswith("/alerts") else "/alerts"
