"""The machines of the mesh: their health, what was decided about each, and letting another one join."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, get_args
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from spectra.errors import BadRequest, SpectraError
from spectra.model.joining import AuthorityRecord, Invitation, JoinTokenList, NodePage, RefusalList
from spectra.model.nodes import JoinTokenRecord, NodeRecord, Presence, Standing
from spectra.model.work import WorkerRecord, WorkStatus
from spectra.web.asked import given, unless
from spectra.web.attempts import attempted
from spectra.web.forms import Form
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page, query
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "nodes"
_PER_PAGE: Final = 100
_REFUSED: Final = 20
_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LIVES: Final = ((900, "15 minutes"), (3600, "1 hour"), (6 * 3600, "6 hours"), (86400, "1 day"), (7 * 86400, "7 days"))
STANDINGS: Final[tuple[str, ...]] = get_args(Standing)
PRESENCES: Final[tuple[str, ...]] = get_args(Presence)
_Name = Annotated[str, Path(max_length=100)]
_Word = Annotated[str, Query(max_length=100)]


def path_of(name: str, verb: str = "") -> str:
    """The page of a node, or where a button of it goes."""
    return f"/nodes/{segment(name)}{verb}"


@router.get("/nodes", dependencies=[page("nodes:read")])
async def nodes(visit: VisitDep, standing: _Word = "", presence: _Word = "", after: _Word = "") -> Response:
    """All of them by name, tokens that are still good, and what machines were refused."""
    standing, presence = standing if standing in STANDINGS else "", presence if presence in PRESENCES else ""
    api = visit.api
    found, work, tokens, refused, authority = await api.together(
        api.get("/v0/nodes", NodePage, standing=standing, presence=presence, cursor=after, limit=_PER_PAGE),
        _work(visit),
        api.get("/v0/nodes/tokens", JoinTokenList),
        api.get("/v0/nodes/refusals", RefusalList, limit=_REFUSED),
        unless(api.get("/v0/nodes/ca", AuthorityRecord), 409),
    )
    chosen = {"standing": standing, "presence": presence}
    return await visit.render(
        "nodes.html",
        title="Nodes",
        at=_AT,
        nodes=found.nodes,
        workers={one.node: one for one in work.workers} if work else {},
        tokens=tokens.tokens,
        refusals=refused.refusals,
        authority=authority,
        standings=STANDINGS,
        presences=PRESENCES,
        standing=standing,
        presence=presence,
        first=f"/nodes{query(**chosen)}" if after else "",
        next=f"/nodes{query(**chosen, after=found.next_cursor)}" if found.next_cursor else "",
    )


async def _work(visit: Visit) -> WorkStatus | None:
    """Who does work, where that may be asked."""
    if not visit.can("jobs:read"):
        return await given(None)
    return await unless(visit.api.get("/v0/work", WorkStatus), 409)


@router.get("/nodes/join", dependencies=[page("nodes:write")])
async def join(visit: VisitDep) -> Response:
    """A form that makes a join token."""
    return await _join(visit, Form([]))


async def _join(
    visit: Visit, form: Form, *, problem: Problem | BadRequest | None = None, made: Invitation | None = None
) -> Response:
    response = await visit.render(
        "node_join.html",
        title="Let a machine join",
        at=_AT,
        status=getattr(problem, "status", 400) if problem else 200,
        form=form,
        problem=problem,
        made=made,
        command=f"spectra join {_checked(made.token)}" if made else "",
        here_only=made is not None and _is_loopback(made.ca_url),
        lives=_LIVES,
    )
    response.headers["cache-control"] = "no-store"  # a token is shown once
    return response


@router.post("/nodes/join", dependencies=[page("nodes:write")])
async def invite(visit: VisitDep) -> Response:
    """Make the token, and show the whole command. It stands on this answer and nowhere else."""
    form = await visit.form()
    wish = {
        "role": form.one("role", "worker"),
        "name": form.one("name"),
        "ttl_s": form.number("ttl_s", 3600),
        "reusable": form.has("reusable"),
    }
    try:
        made = await visit.api.send("POST", "/v0/nodes/tokens", Invitation, wish)
    except Problem as problem:
        if problem.status == 403:
            raise
        return await _join(visit, form, problem=problem)
    return await _join(visit, form, made=made)


def _checked(token: str) -> str:
    """The token, which somebody will paste into a shell: nothing but a JWT (RFC 7515 section 7.1) is shown."""
    if not _JWT.fullmatch(token):
        raise SpectraError("What was made is no join token.", reason="bad_answer")
    return token


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@router.post("/nodes/tokens/{token}/revoke", dependencies=[page("nodes:write")])
async def revoke_token(visit: VisitDep, token: _Name) -> Response:
    """Let nobody in with it any more."""
    await visit.form()
    asked = visit.api.send("DELETE", f"/v0/nodes/tokens/{segment(token)}", JoinTokenRecord)
    return await attempted(visit, asked, "/nodes", "Nobody gets in with this token any more; who did, stays.")


@router.get("/nodes/{name}", dependencies=[page("nodes:read")])
async def one(visit: VisitDep, name: _Name) -> Response:
    """All that is known of it, and what may be decided."""
    node, work = await visit.api.together(visit.api.get(f"/v0/nodes/{segment(name)}", NodeRecord), _work(visit))
    return await visit.render(
        "node.html",
        title=node.name,
        at=_AT,
        node=node,
        path=path_of(node.name),
        worker=next((one for one in work.workers if one.node == node.name), None) if work else None,
    )


@router.post("/nodes/{name}/quarantine", dependencies=[page("nodes:write")])
async def quarantine(visit: VisitDep, name: _Name) -> Response:
    """Keep it away."""
    return await _decided(visit, name, "quarantine", f"{name} is heard and gets no work, until it is released.")


@router.post("/nodes/{name}/revoke", dependencies=[page("nodes:write")])
async def revoke(visit: VisitDep, name: _Name) -> Response:
    """Throw it out for good, where its name was typed to say so."""
    return await _decided(visit, name, "revoke", f"{name} is out: its keys are refused everywhere.")


async def _decided(visit: Visit, name: str, verb: str, told: str) -> Response:
    form = await visit.form()
    if verb == "revoke" and form.one("sure") != name:
        return visit.go(path_of(name), f"Type {name} to revoke it: that cannot be undone.", bad=True)
    body = {"reason": form.one("reason") or form.one("because")}
    asked = visit.api.send("POST", f"/v0/nodes/{segment(name)}/{verb}", NodeRecord, body)
    return await attempted(visit, asked, path_of(name), told)


@router.post("/nodes/{name}/release", dependencies=[page("nodes:write")])
async def release(visit: VisitDep, name: _Name) -> Response:
    """Let it work again."""
    await visit.form()
    asked = visit.api.send("POST", f"/v0/nodes/{segment(name)}/release", NodeRecord)
    return await attempted(visit, asked, path_of(name), f"{name} works again.")


@router.post("/nodes/{name}/drain", dependencies=[page("jobs:write")])
async def drain(visit: VisitDep, name: _Name) -> Response:
    """Give it nothing new, or something again."""
    on = (await visit.form()).one("on", "yes") == "yes"
    verb = "drain" if on else "undrain"
    asked = visit.api.send("POST", f"/v0/nodes/{segment(name)}/{verb}", WorkerRecord)
    told = f"{name} gets nothing new; what it scans it brings to an end." if on else f"{name} is given work again."
    return await attempted(visit, asked, path_of(name), told)
