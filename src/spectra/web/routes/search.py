"""Search: what matches, counted by facets that add terms and take them away, sorted, a page at a time."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse, Response

from spectra.model.facets import FACETS, Facet
from spectra.model.query import MAX_LENGTH
from spectra.model.records import SearchPage
from spectra.model.saved import SavedSearches
from spectra.web import completing, terms
from spectra.web.charts.bars import Bar, bars
from spectra.web.charts.svg import Chart
from spectra.web.inside import Problem
from spectra.web.page import HEADERS, Visit, VisitDep, page, query

router = APIRouter(include_in_schema=False)

SHOWN: Final = 50
SORTS: Final = (
    ("last_seen", "Last seen, newest first"),
    ("-last_seen", "Last seen, oldest first"),
    ("first_seen", "First seen, newest first"),
    ("-first_seen", "First seen, oldest first"),
    ("ip", "Address"),
    ("-ip", "Address, from the end"),
    ("port", "Port"),
    ("-port", "Port, from the end"),
)
_COUNTED: Final = (("port", 10), ("service", 8), ("product", 10), ("country", 8), ("asn", 6))
_OF_FINDINGS: Final = ("severity", 5)
_LABELS: Final = {"asn": "Network", "cert.issuer": "Certificate issuer", "cert.subject": "Certificate subject"}
# What may be counted beside these, and can be asked for by a term of the same name.
MORE: Final = ("version", "os", "org", "city", "region", "cloud", "protocol", "title", "hostname", "cert.issuer",
               "cert.subject")  # fmt: skip

TextParam = Annotated[str, Query(max_length=MAX_LENGTH)]
WordParam = Annotated[str, Query(max_length=60)]


class Chip(NamedTuple):
    """A term of the query, and where it leads to be without it."""

    term: str
    without: str


@router.get("/search", dependencies=[page("search:read")])
async def search(
    visit: VisitDep,
    q: TextParam = "",
    sort: WordParam = "last_seen",
    cursor: Annotated[str, Query(max_length=2000)] = "",
    by: WordParam = "",
) -> Response:
    """The endpoints that match."""
    text = q.strip()
    by = by if by in MORE else ""
    (found, problem), kept = await visit.api.together(
        _found(visit, text, sort, cursor, by), visit.api.get("/v0/searches", SavedSearches)
    )
    return await visit.render(
        "search.html",
        title="Search",
        at="search",
        status=problem.status if problem else 200,
        q=text,
        sort=sort,
        by=by,
        sorts=SORTS,
        more_facets=[(name, label(name)) for name in MORE],
        problem=problem,
        found=found,
        chips=chips(text, sort, by),
        facets=charts(found.facets or {}, text, sort, by),
        kept=kept.searches,
        tabs=tabs("list", text),
        orders={name: f"/search{query(q=text, sort=name, by=by)}" for name, _ in SORTS},
        following=f"/search{query(q=text, sort=sort, by=by, cursor=found.next_cursor)}" if found.next_cursor else "",
        first=f"/search{query(q=text, sort=sort, by=by)}" if cursor else "",
    )


@router.get("/complete", dependencies=[page("search:read")])
async def complete(request: Request, visit: VisitDep, word: Annotated[str, Query(max_length=200)] = "") -> Response:
    """What the word may become: lines of text, a tab, and what that is."""
    found = await completing.offers(word, visit.api, completing.Known.of(request.app))
    lines = "\n".join("\t".join(" ".join(part.split()) for part in one) for one in found)
    return PlainTextResponse(lines, headers={**HEADERS, "cache-control": "private, no-store"})


async def _found(visit: Visit, text: str, sort: str, cursor: str, by: str) -> tuple[SearchPage, Problem | None]:
    """The page, or what is wrong with the question."""
    try:
        return await asked(visit, text, sort, cursor, by), None
    except Problem as problem:
        if problem.status not in (400, 402, 403):
            raise
        return SearchPage(()), problem


async def asked(visit: Visit, text: str, sort: str, cursor: str, by: str) -> SearchPage:
    """The page with its facets: those about findings only for whoever may read them and is Pro."""
    counted = [*_COUNTED, *([(by, 10)] if by else [])]
    own = [_OF_FINDINGS] if visit.can("findings:read") else []
    try:
        return await _asked(visit, text, sort, cursor, [*own, *counted])
    except Problem as error:
        if not own or error.status != 402:
            raise
        return await _asked(visit, text, sort, cursor, counted)


async def _asked(visit: Visit, text: str, sort: str, cursor: str, counted: list[tuple[str, int]]) -> SearchPage:
    facets = ",".join(f"{name}:{most}" for name, most in counted)
    return await visit.api.get("/v0/search", SearchPage, q=text, sort=sort, cursor=cursor, limit=SHOWN, facets=facets)


def chips(text: str, sort: str = "", by: str = "") -> list[Chip]:
    """The terms of a query, each of which can be taken away."""
    return [Chip(one.term, f"/search{query(q=one.rest, sort=sort, by=by)}") for one in terms.pieces(text)]


def charts(facets: dict[str, Facet], text: str, sort: str, by: str) -> list[Chart]:
    """A chart for each facet that has values; a bar adds its term, or takes it away."""
    return [_chart(name, facet, text, sort, by) for name, facet in facets.items() if facet.values]


def _chart(name: str, facet: Facet, text: str, sort: str, by: str) -> Chart:
    items: list[Bar] = []
    for value in facet.values:
        wanted = terms.term(name, value.value)
        chosen = terms.has(text, wanted)
        said = _said(name, value.value, value.label)
        path = f"/search{query(q=terms.toggled(text, wanted), sort=sort, by=by)}"
        hint = f"Without {said}" if chosen else f"Only {said}"
        kind = f"sev-{value.value}" if name == "severity" else ""
        items.append(Bar(said, value.count, path, kind, chosen, hint))
    parts = [f"{facet.other:,} of other values".replace(",", "\u202f")] if facet.other else []
    parts += [] if facet.exact else ["estimated"]
    return bars(label(name), items, heading=label(name).lower(), unit="endpoints", note=", ".join(parts))


def _said(name: str, value: str | int, words: str) -> str:
    if name == "asn":
        return f"AS{value} {words}".strip()
    return words or str(value)


def label(name: str) -> str:
    """What a facet is called above its chart."""
    assert name in FACETS
    return _LABELS.get(name) or name.replace("_", " ").capitalize()


def tabs(here: str, text: str) -> list[tuple[str, str, bool]]:
    """The list, and the maps of what it has."""
    return [
        ("List", f"/search{query(q=text)}", here == "list"),
        *(
            (words, f"/space{query(kind=kind, q=text)}", here == kind)
            for kind, words in (
                ("hilbert", "Hilbert map"),
                ("heat", "Heat map"),
                ("world", "World"),
                ("time", "Timeline"),
            )
        ),
    ]
