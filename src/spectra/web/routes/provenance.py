"""The provenance chain: its entries, walking it, and the proof of one entry."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from spectra.api.routes.provenance import ChainHead
from spectra.model.chain import ChainPage, ChainProof
from spectra.web import walks
from spectra.web.page import VisitDep, page, query

router = APIRouter(include_in_schema=False)

_AT: Final = "provenance"
_PER_PAGE: Final = 50
_MOST: Final = 2**53


@router.get("/provenance", dependencies=[page("provenance:read")])
async def chain(
    visit: VisitDep,
    *,
    kind: Annotated[str, Query(max_length=100)] = "",
    subject: Annotated[str, Query(max_length=200)] = "",
    cursor: Annotated[str, Query(max_length=20)] = "",
    at: Annotated[int | None, Query(ge=1, le=_MOST)] = None,
) -> Response:
    """Its head, its newest entries or those of a kind or about a subject, and how the last walk ended."""
    if at is not None:
        return visit.go(f"/provenance/{at}")
    kind, subject = kind.strip(), subject.strip()
    api = visit.api
    head, found = await api.together(
        api.get("/v0/provenance", ChainHead),
        api.get("/v0/provenance/entries", ChainPage, kind=kind, subject=subject, cursor=cursor, limit=_PER_PAGE),
    )
    asked = {"kind": kind, "subject": subject}
    return await visit.render(
        "provenance.html",
        title="Provenance",
        at=_AT,
        head=head,
        entries=found.entries,
        walk=walks.newest(visit.request.app),
        kind=kind,
        subject=subject,
        first=f"/provenance{query(**asked)}" if cursor else "",
        next=f"/provenance{query(**asked, cursor=found.next_cursor)}" if found.next_cursor else "",
    )


@router.post("/provenance/verify", dependencies=[page("provenance:read")])
async def verify(visit: VisitDep) -> Response:
    """Begin a walk; the page tells how far it is and how it ended."""
    form = await visit.form()
    walk = walks.begin(visit.request.app, visit.api, visit.caller.contributor, deep=form.one("depth") == "deep")
    response = visit.go("/provenance", "The chain is being walked." if walk else "That is under way already.")
    response.background = walk
    return response


@router.get("/provenance/{seq}", dependencies=[page("provenance:read")])
async def entry(visit: VisitDep, seq: Annotated[int, Path(ge=1, le=_MOST)]) -> Response:
    """One entry: what it says, and whether it holds to those before and after it."""
    proof = await visit.api.get(f"/v0/provenance/entries/{seq}", ChainProof)
    return await visit.render(
        "chain_entry.html", title=f"Entry {seq}", at=_AT, proof=proof, one=proof.entry, text=_pretty(proof.text)
    )


def _pretty(text: str) -> str:
    """JSON over several lines; what is none, as it stands."""
    try:
        return msgspec.json.format(text.encode(), indent=2).decode()
    except msgspec.MsgspecError:
        return text
