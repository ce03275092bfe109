"""Pages of outlets: where messages go, whether that works, and what is on its way."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from spectra.model.alerts import DeliveryPage, DeliveryRecord
from spectra.model.outlets import OUTLET_KINDS, OutletList, OutletMade, OutletRecord, OutletTried
from spectra.web.attempts import attempted
from spectra.web.forms import Form
from spectra.web.inside import Problem
from spectra.web.next import own_path
from spectra.web.page import Visit, VisitDep, page, query
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "alerts"
_LIMIT: Final = 50
_ANSWERED: Final = (400, 409, 422)
_KINDS: Final = (
    ("xmpp", "XMPP, to a person"),
    ("xmpp-room", "XMPP, into a room"),
    ("webhook", "Webhook"),
    ("email", "Mail"),
)
_STATES: Final = (
    ("", "any"),
    ("waiting", "waiting"),
    ("delivered", "delivered"),
    ("failed", "given up"),
    ("dropped", "dropped"),
)


@router.get("/outlets", dependencies=[page("alerts:read")])
async def every(visit: VisitDep) -> Response:
    """All outlets."""
    return await _list(visit)


@router.post("/outlets", dependencies=[page("outlets:write")])
async def create(visit: VisitDep) -> Response:
    """Make one."""
    form = await visit.form()
    name = form.one("name")
    try:
        known = await visit.api.get("/v0/outlets", OutletList)
        if any(one.name == name for one in known.outlets):
            return visit.go(_path(name), "There is one of this name already: change it here.", bad=True)
        made = await visit.api.send("PUT", f"/v0/outlets/{segment(name) or '-'}", OutletMade, _asked(form))
    except Problem as problem:
        if problem.status not in _ANSWERED:
            raise
        return await _list(visit, problem=problem, form=form)
    if made.secret:
        return await _one(visit, made.outlet, secret=made.secret)
    return visit.go(_path(name), f"The outlet {name} is made. Try it.")


@router.get("/outlets/{outlet}", dependencies=[page("alerts:read")])
async def one(visit: VisitDep, outlet: str) -> Response:
    """One outlet, and what went that way."""
    return await _one(visit, await visit.api.get(f"/v0/outlets/{outlet}", OutletRecord))


@router.post("/outlets/{outlet}", dependencies=[page("outlets:write")])
async def change(visit: VisitDep, outlet: str) -> Response:
    """Change it."""
    asked = visit.api.send("PUT", f"/v0/outlets/{outlet}", OutletMade, _asked(await visit.form()))
    return await attempted(visit, asked, _path(outlet), "Saved.")


@router.post("/outlets/{outlet}/test", dependencies=[page("outlets:write")])
async def test(visit: VisitDep, outlet: str) -> Response:
    """Send a message that says that it is a test."""
    await visit.form()
    tried = await visit.api.send("POST", f"/v0/outlets/{outlet}/test", OutletTried)
    if tried.delivered:
        return visit.go(_path(outlet), f"It arrived, in {tried.took_ms:.0f} ms.")
    return visit.go(_path(outlet), tried.error, bad=True)


@router.post("/outlets/{outlet}/remove", dependencies=[page("outlets:write")])
async def remove(visit: VisitDep, outlet: str) -> Response:
    """Remove it."""
    await visit.form()
    asked = visit.api.send("DELETE", f"/v0/outlets/{outlet}", OutletRecord)
    return await attempted(visit, asked, _path(outlet), f"The outlet {outlet} is gone.", on="/outlets")


@router.get("/deliveries", dependencies=[page("alerts:read")])
async def deliveries(request: Request, visit: VisitDep) -> Response:
    """Messages and where they are, the newest first."""
    given = request.query_params
    asked: dict[str, str] = {name: given.get(name, "") for name in ("outlet", "state")}
    cursor = given.get("cursor", "")
    found = await visit.api.get("/v0/deliveries", DeliveryPage, **asked, cursor=cursor, limit=_LIMIT)
    return await visit.render(
        "deliveries.html",
        title="Messages",
        at=_AT,
        sent=found.deliveries,
        asked=asked,
        states=_STATES,
        next=f"/deliveries{query(**asked, cursor=found.next_cursor)}" if found.next_cursor else "",
        first=f"/deliveries{query(**asked)}" if cursor else "",
    )


@router.post("/deliveries/{notification}/{outlet}/again", dependencies=[page("alerts:write")])
async def again(visit: VisitDep, notification: str, outlet: str) -> Response:
    """Try a message again, now."""
    form = await visit.form()
    back = own_path(form.one("next"), "/deliveries")
    asked = visit.api.send("POST", f"/v0/deliveries/{notification}/{outlet}/again", DeliveryRecord)
    return await attempted(visit, asked, back, "It is sent again.")


async def _list(visit: Visit, *, problem: Problem | None = None, form: Form | None = None) -> Response:
    found = await visit.api.get("/v0/outlets", OutletList)
    return await visit.render(
        "outlets.html",
        title="Outlets",
        at=_AT,
        status=problem.status if problem else 200,
        outlets=found.outlets,
        kinds=_KINDS,
        words=dict(_KINDS),
        problem=problem,
        form=form or Form([]),
    )


async def _one(visit: Visit, record: OutletRecord, *, secret: str = "") -> Response:
    sent = await visit.api.get("/v0/deliveries", DeliveryPage, outlet=record.name, limit=20)
    return await visit.render(
        "outlet.html",
        title=record.name,
        at=_AT,
        outlet=record,
        path=_path(record.name),
        secret=secret,
        sent=sent.deliveries,
        kinds=_KINDS,
        words=dict(_KINDS),
    )


def _asked(form: Form) -> dict[str, Any]:
    kind = form.one("kind")
    said: dict[str, Any] = {
        "kind": kind if kind in OUTLET_KINDS else "webhook",
        "target": form.one("target"),
        "enabled": form.has("enabled"),
        "note": form.one("note"),
    }
    if secret := form.exact("secret"):
        said["secret"] = secret
    return said


def _path(name: str) -> str:
    return f"/outlets/{segment(name)}"
