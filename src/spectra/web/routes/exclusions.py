"""What is never scanned, who asked for that, and who may not use this API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from spectra.api.routes.blocks import Blocks
from spectra.api.routes.do_not_scan import Entries, Requests
from spectra.errors import BadRequest
from spectra.model.limits import BlockRecord, DoNotScanEntry, DoNotScanRequest
from spectra.web.asked import given
from spectra.web.attempts import attempted
from spectra.web.page import VisitDep, page, query
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "exclusions"
_PLACE: Final = "/exclusions"
_PER_PAGE: Final = 50
_Id = Annotated[str, Path(pattern="^[0-9a-f-]{36}$")]
_Cursor = Annotated[str, Query(max_length=100)]


@router.get("/exclusions", dependencies=[page("exclusions:read")])
async def exclusions(visit: VisitDep, cursor: _Cursor = "", asked: _Cursor = "", *, all: bool = False) -> Response:
    """Requests to decide, the do-not-scan list and the blocks in force."""
    api = visit.api
    requests, entries, blocks = await api.together(
        api.get("/v0/do-not-scan/requests", Requests, status="" if all else "pending", cursor=asked, limit=_PER_PAGE),
        api.get("/v0/do-not-scan/entries", Entries, cursor=cursor, limit=_PER_PAGE),
        api.get("/v0/blocks", Blocks) if visit.can("blocks:read") else given(Blocks([])),
    )
    more, older = entries.next_cursor, requests.next_cursor
    return await visit.render(
        "exclusions.html",
        title="Exclusions",
        at=_AT,
        requests=requests.requests,
        entries=entries.entries,
        blocks=blocks.blocks,
        all=all,
        first=_PLACE if cursor else "",
        next=f"{_PLACE}{query(cursor=more)}#list" if more else "",
        older=f"{_PLACE}{query(asked=older, all=all)}" if older else "",
    )


@router.post("/exclusions", dependencies=[page("exclusions:write")])
async def add(visit: VisitDep) -> Response:
    """Put a network on the list."""
    form = await visit.form()
    body = {"network": form.one("network"), "reason": form.one("reason")}
    asked = visit.api.send("POST", "/v0/do-not-scan/entries", DoNotScanEntry, body)
    return await attempted(visit, asked, _PLACE, f"{form.one('network')} is never scanned from now on.")


@router.post("/exclusions/{entry}/remove", dependencies=[page("exclusions:write")])
async def remove(visit: VisitDep, entry: _Id) -> Response:
    """Take a network off the list."""
    await visit.form()
    asked = visit.api.send("DELETE", f"/v0/do-not-scan/entries/{segment(entry)}", DoNotScanEntry)
    return await attempted(visit, asked, _PLACE, "It is off the list, and may be scanned.")


@router.post("/exclusions/requests/{request_id}/{decision}", dependencies=[page("exclusions:write")])
async def decide(visit: VisitDep, request_id: _Id, decision: Literal["approve", "reject"]) -> Response:
    """Grant a request, or turn it down."""
    body = {"note": (await visit.form()).one("note")}
    path = f"/v0/do-not-scan/requests/{segment(request_id)}/{decision}"
    told = "Granted: it is never scanned from now on." if decision == "approve" else "Turned down."
    return await attempted(visit, visit.api.send("POST", path, DoNotScanRequest, body), _PLACE, told)


@router.post("/blocks", dependencies=[page("blocks:write")])
async def block(visit: VisitDep) -> Response:
    """Let a network or an autonomous system use this API no more."""
    form = await visit.form()
    what = form.one("what")
    body: dict[str, Any] = {"reason": form.one("reason"), "targets": form.has("targets")}
    number = what.upper().removeprefix("AS")
    body |= {"asn": int(number)} if number.isascii() and number.isdecimal() else {"network": what}
    if until := form.one("until"):
        body["until"] = _day(until)
    asked = visit.api.send("POST", "/v0/blocks", BlockRecord, body)
    return await attempted(visit, asked, _PLACE, f"{what} is blocked.")


def _day(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise BadRequest("Write the end of the block as a day: 2026-12-31.", field="until") from error


@router.post("/blocks/{block_id}/remove", dependencies=[page("blocks:write")])
async def unblock(visit: VisitDep, block_id: _Id) -> Response:
    """Take a block away."""
    await visit.form()
    asked = visit.api.send("DELETE", f"/v0/blocks/{segment(block_id)}", BlockRecord)
    return await attempted(visit, asked, _PLACE, "The block is gone.")
