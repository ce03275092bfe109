"""Lines about what a query finds: how many endpoints, of what kinds, and the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spectra.ai.retrieval import publicwords
from spectra.ai.retrieval.lines import Line, line, raw, raw_line
from spectra.model.facets import Asked, Facet, Total
from spectra.model.observation import Service
from spectra.model.query import Query
from spectra.model.records import Match
from spectra.model.summaries import Target
from spectra.store import facets
from spectra.store.database import Database
from spectra.store.search import Paging

_TOP: Final = 8
_ASKED: Final = tuple(Asked(name, _TOP) for name in ("service", "product", "port", "country"))


def of_query(database: Database, query: Query, target: Target, most: int) -> tuple[tuple[Match, ...], list[Line]]:
    """The first `most` endpoints that match, last seen first, and lines about all of them."""
    page = facets.page(database, query, Paging(limit=most), _ASKED)
    total = page.total or Total(len(page.matches), False)
    return page.matches, list(_lines(target, total, page.facets or {}))


def _lines(target: Target, total: Total, counted: dict[str, Facet]) -> Iterator[Line]:
    record, title = target.record, f"query {target.value}"
    about = "" if total.exact else "about "
    yield line(record, title, [f"The query finds {about}{total.count} open endpoints"], 100.0)
    yield raw_line(record, title, f"The query is: {raw(target.value, 500)}", 99.0)
    for place, (name, facet) in enumerate(counted.items()):
        if said := _said(name, facet):
            yield line(record, title, [f"By {name}: {said}"], 90.0 - place)


def _said(name: str, facet: Facet) -> str:
    """`ssh 12, http 7, others 3`: a value that is not public is one of the others."""
    others, told = facet.other, list[str]()
    for one in facet.values:
        if public := _public(name, str(one.value)):
            told.append(f"{public} {one.count}")
        else:
            others += one.count
    told += [f"others {others}"] if others else []
    return ", ".join(told)


def _public(name: str, value: str) -> str:
    if name == "service":
        return publicwords.service(value)
    return publicwords.product(Service(product=value), ()) if name == "product" else raw(value, 40)
