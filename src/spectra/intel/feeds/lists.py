"""Feeds of lines: plain lists of networks, geofeeds (RFC 8805) and networks with a country."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from spectra.intel.feeds import files
from spectra.intel.feeds.build import Rows, bad_line, cloud_table, table
from spectra.intel.feeds.countries import COUNTRIES
from spectra.intel.feeds.errors import FeedError
from spectra.intel.feeds.table import About, Table
from spectra.model.facts import Place

COUNTRY_HEADER: Final = ("cidr", "country")
"""The first line of a table of countries."""

_CODE: Final = re.compile(r"[A-Za-z]{2}")
_REGION: Final = re.compile(r"[A-Za-z]{2}-[A-Za-z0-9]{1,3}")
_MODIFIED: Final = re.compile(
    r"^#.*?modified:?\s*(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?)", re.IGNORECASE | re.MULTILINE
)

PROVIDERS: Final = {
    "cloudflare": "cloudflare",
    "akamai": "akamai",
    "fastly": "fastly",
    "digitalocean": "digitalocean",
    "linode": "linode",
    "vultr": "vultr",
    "hetzner": "hetzner",
    "ovh": "ovh",
    "scaleway": "scaleway",
    "imperva": "imperva",
    "incapsula": "imperva",
    "sucuri": "sucuri",
    "bunny": "bunny",
    "cachefly": "cachefly",
    "gcore": "gcore",
    "starlink": "starlink",
    "google": "google",
    "alibaba": "alibaba",
    "tencent": "tencent",
    "ibm": "ibm",
}
"""Words in the name of a file that say whose list it is."""

_EDGE: Final = frozenset({"cloudflare", "akamai", "fastly", "imperva", "sucuri", "bunny", "cachefly", "gcore"})


class _Line(NamedTuple):
    number: int
    fields: list[str]


def provider_of(name: str) -> str:
    """The provider whose name is a word of a file's name, "" where there is none."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((PROVIDERS[word] for word in words if word in PROVIDERS), "")


def is_country_table(first: str) -> bool:
    """Whether a feed with this first line is a table of countries."""
    return tuple(part.strip().lower() for part in first.split(",")) == COUNTRY_HEADER


def plain(data: bytes, provider: str) -> Table:
    """One network a line, all of one provider. The lists of edge networks say no service: it is `CDN`."""
    if not provider:
        raise FeedError(
            "A list of networks does not say whose they are.",
            reason="feed_provider",
            hint="Give the provider, or name the file after it, such as cloudflare-v4-ip-ranges.txt.",
        )
    place = Place(cloud=provider, cloud_service="CDN" if provider in _EDGE else "")
    lines = list(_lines(files.text(data)))
    rows = Rows([line.fields[0] for line in lines], [place] * len(lines))
    return table(About("cloud", "list", provider=provider), rows, bad_line([line.number for line in lines]))


def geofeed(data: bytes, provider: str) -> Table:
    """`prefix,country,region,city,postal code` a line; fields from the right may be missing.

    A provider's own geofeed says where its customers are hosted: a `cloud` table. Any other is a `geo` table. The
    region is given as its ISO 3166-2 code.
    """
    text = files.text(data)
    lines = [line for line in _lines(text) if line.fields[0]]
    places: dict[tuple[str, ...], Place] = {}
    rows = Rows([line.fields[0] for line in lines])
    for line in lines:
        key = tuple(line.fields[1:4])
        if key not in places:
            place = _located(line)
            places[key] = msgspec.structs.replace(place, cloud=provider) if provider else place
        rows.places.append(places[key])
    bad = bad_line([line.number for line in lines])
    version, built = _modified(text)
    if provider:
        rows.ranks = [0] * len(rows.texts)
        return cloud_table(About("cloud", "geofeed", version, built, provider=provider), rows, bad)
    return table(About("geo", "geofeed", version, built), rows, bad)


def country_table(data: bytes) -> Table:
    """`cidr,country` a line, after those words as the header."""
    lines = list(_lines(files.text(data)))[1:]
    places: dict[str, Place] = {}
    rows = Rows([line.fields[0] for line in lines])
    for line in lines:
        code = line.fields[1] if len(line.fields) > 1 else ""
        if code not in places:
            places[code] = _located(line)
        rows.places.append(places[code])
    return table(About("geo", "countries"), rows, bad_line([line.number for line in lines]))


def _located(line: _Line) -> Place:
    """The place in a line of a geofeed, whose fields were counted by nobody."""
    _, country, region, city = (*line.fields[:4], "", "", "", "")[:4]
    if country and not _CODE.fullmatch(country):
        raise FeedError(f"{country[:40]!r} is no ISO 3166 country code.", line=line.number, field="country")
    if region and not _REGION.fullmatch(region):
        raise FeedError(f"{region[:40]!r} is no ISO 3166-2 region code.", line=line.number, field="region")
    code = country.upper()
    return Place(country=code, country_name=COUNTRIES.get(code, ""), region=region.upper(), city=files.word(city))


def _lines(text: str) -> Iterator[_Line]:
    """The lines that say something, split at commas; `#` begins a comment (RFC 8805, section 2.1)."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        if '"' in line:
            yield _Line(number, [field.strip() for field in next(csv.reader([line]))])
        else:
            yield _Line(number, [field.strip() for field in line.partition("#")[0].split(",")])


def _modified(text: str) -> tuple[str, datetime | None]:
    found = _MODIFIED.search(text[:4096])
    if found is None:
        return "", None
    try:
        return found[1], datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    except ValueError:
        return found[1], None
