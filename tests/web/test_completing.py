"""Completion asks the graph, but not at every key."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from spectra.errors import Unavailable
from spectra.model.facets import Facet, FacetValue
from spectra.model.records import SearchPage
from spectra.web.completing import KEPT_S, MOST, Known, Offer, offers
from spectra.web.inside import Inside


class Graph:
    """Answers questions for countries, and counts them."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False

    async def get(self, path: str, kind: type, /, **params: Any) -> SearchPage:
        """The one question there is."""
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        assert (path, params["limit"]) == ("/v0/search", 0)
        values = (FacetValue("FR", 9, "France"), FacetValue("DE", 5, "Germany"), FacetValue("GF", 1, "French Guiana"))
        return SearchPage((), facets={"country": Facet(values, 0, 0, exact=True)})


def completed(word: str, graph: Graph, known: Known) -> list[Offer]:
    """What is offered."""
    return asyncio.run(offers(word, cast(Inside, graph), known))


def test_values_are_kept_for_a_minute() -> None:
    """By their code or their name; after that they are asked for again, and kept where that fails."""
    now, graph = [0.0], Graph()
    known = Known(lambda: now[0])
    assert completed("country:f", graph, known)[0] == Offer("country:FR", "France · 9")
    assert [one.text for one in completed("-country:DE,fr", graph, known)] == ["-country:DE,FR", "-country:DE,GF"]
    assert graph.asked == 1
    now[0], graph.away = KEPT_S + 1, True
    assert [one.text for one in completed("country:germ", graph, known)] == ["country:DE"]
    assert graph.asked == 2


def test_offers_are_few_and_of_what_may_follow() -> None:
    """Fields first; none for a field that there is not, or where anything may stand."""
    graph, known = Graph(), Known()
    assert len(completed("", graph, known)) == MOST
    assert completed("cert.ex", graph, known)[0].text == "cert.expires:"
    for word in ("nofield:x", "ip:10", "vuln:CVE"):
        assert completed(word, graph, known) == []
    assert graph.asked == 0
