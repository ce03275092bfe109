"""Facets: how many endpoints there are by country, product, port ... and how they are asked for.

    facets = facet *("," facet)
    facet  = name [":" ["-"] count] / name ":" unit
    unit   = "hour" / "day" / "week" / "month"

`country:10` are the ten most common, `product:-5` the five rarest, `last_seen:day` a histogram.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec

from spectra.errors import BadRequest
from spectra.model.fields import NAMES, suggest

Unit = Literal["hour", "day", "week", "month"]

DEFAULT: Final = 10
MAX_VALUES: Final = 1000
MAX_FACETS: Final = 24
UNITS: Final[tuple[Unit, ...]] = ("hour", "day", "week", "month")
_UNITS: Final[dict[str, Unit]] = {unit: unit for unit in UNITS}
HISTOGRAMS: Final = ("last_seen", "first_seen")

FACETS: Final[dict[str, str]] = {
    "country": "The country, by its ISO code.",
    "region": "The region (state, province).",
    "city": "The city; cities of one name are one.",
    "asn": "The autonomous system; its label is its organisation.",
    "org": "The organisation behind the autonomous system.",
    "cloud": "The cloud provider.",
    "cloud_region": "The cloud provider and its region, as `aws/eu-west-1`.",
    "port": "The port.",
    "protocol": "The transport protocol.",
    "service": "The name of the service.",
    "product": "The product.",
    "version": "The version, of whatever product.",
    "cpe": "The CPE 2.3 name; an endpoint may have several.",
    "os": "The operating system that the service tells.",
    "title": "The title of the web page.",
    "hostname": "The name of the host; a host may have several.",
    "cert.issuer": "The issuer of the certificate.",
    "cert.subject": "The subject of the certificate.",
    "vuln": "A weakness of what runs there that is asked for, by its CVE id; an endpoint counts for each that it has.",
    "severity": "A severity of its weaknesses that are asked for; it counts for each that one of them has.",
    "cvss": "A whole CVSS score of these and what is above it, as `9-9.9`; it counts for each that one of them has.",
    "kev": "Whether these are known to be exploited: for `true` if one is, for `false` if one is not.",
    "last_seen": "When it was last seen open: a histogram by hour, day, week or month.",
    "first_seen": "When it was first seen open: a histogram by hour, day, week or month.",
}
"""Every facet there is, and what its values are."""


class Asked(NamedTuple):
    """One facet of a question: the `top` most common values, or the rarest; by `unit` of time in a histogram."""

    name: str
    top: int = DEFAULT
    rarest: bool = False
    unit: Unit | None = None


class FacetValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value and how many endpoints have it. `label` says in words what `value` is, where it does not itself.

    In a histogram `value` is the beginning of the time (RFC 3339, UTC).
    """

    value: str | int
    count: int
    label: str = ""


class Facet(msgspec.Struct, frozen=True):
    """How many of the endpoints that match have which value.

    `other` have a value that is not listed, `missing` have none; an endpoint with several values counts for each.
    Where not `exact`, all numbers are estimates from a sample.
    """

    values: tuple[FacetValue, ...]
    other: int
    missing: int
    exact: bool


class Total(msgspec.Struct, frozen=True):
    """How many endpoints match; an estimate from a sample where not `exact`."""

    count: int
    exact: bool


class Count(msgspec.Struct, frozen=True):
    """`GET /v0/count`: how many endpoints match and on how many hosts, and which of both is exact."""

    count: int
    hosts: int
    exact: bool
    hosts_exact: bool


class FeedInUse(msgspec.Struct, frozen=True):
    """A feed that places rest on: its own word for its version, and when it was taken."""

    name: str
    kind: str
    version: str
    updated: datetime


class Overview(msgspec.Struct, frozen=True):
    """`GET /v0/stats`: what the graph holds.

    `hosts`, `hosts_placed` (of which a place is known) and `endpoints` (open ones) are exact, the others estimates
    where they are many. `oldest` and `newest` are when the endpoints that were not seen for longest, and last
    of all, were last seen open.
    """

    hosts: int
    hosts_placed: int
    endpoints: int
    services: int
    certificates: int
    names: int
    observations: int
    places: int
    oldest: datetime | None
    newest: datetime | None
    feeds: tuple[FeedInUse, ...]


def read_facets(text: str) -> tuple[Asked, ...]:
    """The facets asked for in `text`, each name once; raises `BadRequest` naming `facets`."""
    asked = [_read(part.strip()) for part in text.split(",")] if text.strip() else []
    if len(asked) > MAX_FACETS:
        raise _bad(f"{len(asked)} facets are asked for; {MAX_FACETS} are allowed.")
    names = [one.name for one in asked]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise _bad(f"{twice} is asked for twice.")
    return tuple(asked)


def _read(part: str) -> Asked:
    name, _, rest = part.partition(":")
    name = _known(name.strip().lower())
    rest = rest.strip().lower()
    if name in HISTOGRAMS:
        if rest and rest not in _UNITS:
            raise _bad(f'{name}: "{rest[:40]}" is no unit of time.', f"Units are {', '.join(UNITS)}: {name}:day")
        return Asked(name, MAX_VALUES, unit=_UNITS.get(rest, "day"))
    if ":" not in part:
        return Asked(name)
    if not re.fullmatch(r"-?\d{1,4}", rest, re.ASCII) or not 1 <= abs(int(rest)) <= MAX_VALUES:
        hint = f"{name}:5 are the five most common, {name}:-5 the five rarest."
        raise _bad(f'{name}: "{rest[:40]}" is not a number of values between 1 and {MAX_VALUES}.', hint)
    return Asked(name, abs(int(rest)), rest.startswith("-"))


def _known(name: str) -> str:
    if name in FACETS:
        return name
    field = NAMES.get(name)
    if field and field.name in FACETS:
        return field.name
    near = suggest(name[:40], FACETS)
    hint = f'Did you mean "{near}"?' if near else f"Facets are {', '.join(FACETS)}."
    raise _bad(f'There is no facet "{name[:40]}".', hint)


def _bad(message: str, hint: str = "") -> BadRequest:
    return BadRequest(message, reason="facets", hint=hint, field="facets")
