"""What matches as maps: of the address space, of the world, and over time."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from spectra.errors import BadRequest
from spectra.model.facets import UNITS, Facet, Unit
from spectra.model.records import SearchPage
from spectra.model.space import EVERYTHING, Block, Space, checked_prefix, read_within
from spectra.web import terms
from spectra.web.charts.space import Block as Square
from spectra.web.charts.space import heat, hilbert
from spectra.web.charts.svg import Chart
from spectra.web.charts.timeline import Slot, histogram
from spectra.web.charts.world import Country, world
from spectra.web.inside import Problem
from spectra.web.page import HEADERS, Visit, VisitDep, page, query
from spectra.web.routes.search import TextParam, WordParam, chips, tabs

router = APIRouter(include_in_schema=False)

KINDS: Final = ("hilbert", "heat", "world", "time")
_STEP: Final = 8
_LINKS: Final = 256
"""Networks that lead further: each link is some 300 bytes of the page, with its row in the table."""
_FINE: Final = 12
"""Bits that the squares of a Hilbert map are longer than its network: 64 x 64 of them."""
_UNITS: Final[dict[str, Unit]] = {unit: unit for unit in UNITS}
_LONG: Final[dict[str, timedelta]] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}


@router.get("/search/map", dependencies=[page("search:read")])
async def moved(kind: WordParam = "hilbert", q: TextParam = "", within: WordParam = "") -> Response:
    """Where maps are."""
    return RedirectResponse(f"/space{query(kind=kind, q=q, within=within)}", 303, HEADERS)


@router.get("/space", dependencies=[page("search:read")])
async def space(
    visit: VisitDep, kind: WordParam = "hilbert", q: TextParam = "", within: WordParam = "", unit: WordParam = "day"
) -> Response:
    """A map of what matches."""
    kind = kind if kind in KINDS else "hilbert"
    text = q.strip()
    data: dict[str, Any] = {"chart": None, "path": [], "problem": None, "six": "", "units": []}
    status = 200
    try:
        data |= await _drawn(visit, kind, text, within, unit)
    except Problem as error:
        if error.status not in (400, 402, 403):
            raise
        data["problem"], status = error, error.status
    except BadRequest as error:
        data["problem"], status = error, 400
    return await visit.render(
        "space.html",
        title="Address space",
        at="space",
        status=status,
        q=text,
        kind=kind,
        within=within,
        chips=chips(text),
        tabs=tabs(kind, text),
        **data,
    )


async def _drawn(visit: Visit, kind: str, text: str, within: str, unit: str) -> dict[str, Any]:
    if kind == "world":
        return {"chart": await _world(visit, text)}
    if kind == "time":
        chosen = _UNITS.get(unit, "day")
        units = [(one, f"/space{query(kind='time', q=text, unit=one)}", one == chosen) for one in UNITS]
        return {"chart": await _time(visit, text, chosen), "units": units}
    network = read_within(within)
    if network.version != 4 or network.prefixlen > 32 - _STEP:
        raise BadRequest(
            f"{network} cannot be drawn as a map.", hint="IPv4 networks of at most 24 bits can.", field="within"
        )
    found = await _map(visit, kind, text, network)
    return {
        "chart": found,
        "path": _path(kind, text, network),
        "six": f"/search{query(q=terms.added(text, 'net:::/0'))}",
    }


async def _map(visit: Visit, kind: str, text: str, network: ipaddress.IPv4Network) -> Chart:
    """The network's parts 8 bits longer; as heat of all the space those of 16 bits, each row a network of 8."""
    where = "the address space" if str(network) == EVERYTHING else str(network)
    longer = 2 * _STEP if kind == "heat" and network.prefixlen == 0 else _STEP
    coarse = await _asked(visit, text, network, network.prefixlen + longer)
    led = set(sorted(coarse.blocks, key=lambda b: -b.hosts)[:_LINKS])
    squares = [Square(b.network, b.hosts, _zoomed(kind, text, b) if b in led else "") for b in coarse.blocks]
    note = _note(coarse)
    if kind == "heat":
        return heat(f"Hosts in {where}, by /{coarse.prefix}", squares, note=note)
    fine = await _asked(visit, text, network, min(network.prefixlen + _FINE, 32))
    blocks = [Square(b.network, b.hosts) for b in fine.blocks]
    return hilbert(f"Hosts in {where}, by /{fine.prefix}", str(network), blocks, squares, note=note)


async def _asked(visit: Visit, text: str, network: ipaddress.IPv4Network, prefix: int) -> Space:
    wanted = checked_prefix(network, prefix)
    return await visit.api.get("/v0/space", Space, q=text, within=str(network), prefix=wanted)


def _zoomed(kind: str, text: str, block: Block) -> str:
    """Into the network, or to its hosts where it is as small as it may be."""
    if int(block.network.partition("/")[2]) > 32 - _STEP:
        return f"/search{query(q=terms.added(text, terms.term('net', block.network)), sort='ip')}"
    return f"/space{query(kind=kind, q=text, within=block.network)}"


def _path(kind: str, text: str, network: ipaddress.IPv4Network) -> list[tuple[str, str]]:
    """The networks that this one is in, and itself, each with its map; the last is what is listed."""
    steps = [network.supernet(new_prefix=bits) for bits in range(0, network.prefixlen + 1, _STEP)]
    named = [(str(step) if step.prefixlen else "All of IPv4", step) for step in dict.fromkeys([*steps, network])]
    return [(words, f"/space{query(kind=kind, q=text, within=str(step))}") for words, step in named]


def _note(found: Space) -> str:
    parts = [f"{found.hosts:,} hosts".replace(",", "\u202f")]
    if not found.exact:
        parts.append("estimated from a sample: zoom in, or ask more narrowly, to have it exactly")
    if found.left_out:
        parts.append(f"{found.left_out} networks of few hosts left out")
    return ", ".join(parts)


async def _world(visit: Visit, text: str) -> Chart:
    facet = await _facet(visit, text, "country", "country:300")
    countries = [
        Country(str(v.value), v.label, v.count, f"/search{query(q=terms.added(text, terms.term('country', v.value)))}")
        for v in facet.values
    ]
    parts = [f"{facet.missing:,} endpoints of no known country".replace(",", "\u202f")] if facet.missing else []
    parts += [] if facet.exact else ["estimated"]
    return world("Open endpoints by country", countries, note=", ".join(parts))


async def _time(visit: Visit, text: str, unit: Unit) -> Chart:
    facet = await _facet(visit, text, "last_seen", f"last_seen:{unit}")
    slots = [_slot(text, datetime.fromisoformat(str(v.value)), unit, v.count) for v in facet.values]
    return histogram(f"Last seen, by {unit}", slots, note="" if facet.exact else "estimated from a sample")


def _slot(text: str, start: datetime, unit: Unit, count: int) -> Slot:
    start = start.astimezone(UTC)
    end = start + _LONG[unit] if unit in _LONG else (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    wanted = f"last_seen:{start:%Y-%m-%dT%H:%M:%SZ}..{end:%Y-%m-%dT%H:%M:%SZ}"
    return Slot(start, end, count, f"/search{query(q=terms.added(text, wanted))}")


async def _facet(visit: Visit, text: str, name: str, asked: str) -> Facet:
    found = await visit.api.get("/v0/search", SearchPage, q=text, limit=0, facets=asked)
    return (found.facets or {}).get(name) or Facet((), 0, 0, exact=True)
