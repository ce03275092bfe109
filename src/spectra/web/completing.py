"""What may follow while a query is typed: fields, their values as the graph has them, and words for time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from fastapi import FastAPI

from spectra.errors import SpectraError
from spectra.model.facets import FACETS, HISTOGRAMS
from spectra.model.fields import FIELDS, FINDINGS, NAMES, PROVIDERS, Field
from spectra.model.records import SearchPage
from spectra.web.inside import Inside
from spectra.web.terms import term

MOST: Final = 12
KEPT_S: Final = 60.0
"""A value that was never seen before is offered a minute later: asking the store at each key would be too much."""
_VALUES: Final = 500
_MOMENTS: Final = ("24h", "7d", "30d", "yesterday")


class Offer(NamedTuple):
    """What is offered in the place of the word, and what it is."""

    text: str
    what: str


class Known:
    """The values of fields, each asked for when first needed, and again after a minute. One for each app."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[str, tuple[float, tuple[Offer, ...]]] = {}

    @classmethod
    def of(cls, app: FastAPI) -> Known:
        """Those of an app."""
        if not hasattr(app.state, "completing"):
            app.state.completing = cls()
        return app.state.completing

    async def values(self, api: Inside, name: str) -> tuple[Offer, ...]:
        """The most common values of a field that counts, the most common first; none where they cannot be had."""
        until, held = self._held.get(name, (0.0, ()))
        if self._clock() < until:
            return held
        try:
            page = await api.get("/v0/search", SearchPage, limit=0, facets=f"{name}:{_VALUES}")
        except SpectraError:
            return held
        facet = (page.facets or {}).get(name)
        found = facet.values if facet else ()
        offers = tuple(Offer(str(v.value), f"{v.label} · {v.count}" if v.label else str(v.count)) for v in found)
        self._held[name] = (self._clock() + KEPT_S, offers)
        return offers


async def offers(word: str, api: Inside, known: Known) -> list[Offer]:
    """What the word that is being typed may become, the likeliest first; at most twelve."""
    minus = "-" if word.startswith("-") else ""
    name, colon, value = word.removeprefix("-").partition(":")
    if not colon:
        return [Offer(minus + one.text, one.what) for one in _names(name.lower())][:MOST]
    field = NAMES.get(name.lower())
    if field is None:
        return []
    listed, comma, last = value.rpartition(",")
    found = await _values(field, last.strip('"').lower(), api, known)
    before = f"{minus}{name}:{listed}{comma}"
    return [Offer(before + _written(field, one.text), one.what) for one in found][:MOST]


def _names(start: str) -> list[Offer]:
    own = [field for name, field in FIELDS.items() if name.startswith(start)]
    others = [NAMES[name] for name in NAMES if name.startswith(start) and NAMES[name] not in own]
    return [Offer(f"{field.name}:", field.description) for field in dict.fromkeys(own + others)]


async def _values(field: Field, start: str, api: Inside, known: Known) -> list[Offer]:
    """Values that begin so, then those that hold it; times and clouds by what they may be."""
    if field.choices:
        return [Offer(choice, field.name) for choice in field.choices if choice.startswith(start)]
    if field.kind in ("moment", "time") and field.name not in FINDINGS:
        return [Offer(span, "back from now") for span in _MOMENTS if span.startswith(start)]
    if field.kind == "flag":
        return [Offer(word, field.name) for word in ("true", "false") if word.startswith(start)]
    if field.name not in FACETS or field.name in HISTOGRAMS or field.name in FINDINGS:
        return [
            Offer(one, "publishes its ranges") for one in PROVIDERS if field.kind == "cloud" and one.startswith(start)
        ]
    found = await known.values(api, field.name)
    begin = [one for one in found if one.text.lower().startswith(start)]
    within = [one for one in found if start and start in f"{one.text} {one.what}".lower() and one not in begin]
    return begin + within


def _written(field: Field, value: str) -> str:
    """A value as the language has it, without its field."""
    return term(field.name, value).partition(":")[2]
