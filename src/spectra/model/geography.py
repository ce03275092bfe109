"""Countries, regions, cities, networks and clouds as parts of the graph: each a page with counts and relations."""

from __future__ import annotations

from typing import Literal

import msgspec

from spectra.model.facets import Facet, Total

AreaKind = Literal["country", "region", "city", "asn", "cloud", "cloud_region", "cloud_service"]


class AreaRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An area: how many hosts are in it and how many of their endpoints are open.

    `name` is the country's code, the city's or region's name, the number of the autonomous system, the cloud provider
    or, after it and a slash, its region or service. `label` says who that is, `country` in which one it lies. `query`
    finds its endpoints, `path` is its page in this API (services of a cloud have none).
    """

    kind: AreaKind
    name: str
    hosts: int
    endpoints: int
    query: str
    path: str
    label: str = ""
    country: str = ""


class Area(msgspec.Struct, frozen=True):
    """An area with what it has to do with others, and what runs in it.

    `relations` are other areas, by kind, each with the hosts and endpoints that are in both; the largest of each kind.
    `top` counts open endpoints by service, product and port; `total` are those endpoints.
    """

    area: AreaRecord
    relations: dict[str, tuple[AreaRecord, ...]]
    top: dict[str, Facet]
    total: Total


class AreaPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of areas of one kind, those with the most hosts first; `next_cursor` is empty on the last one."""

    areas: tuple[AreaRecord, ...]
    next_cursor: str = ""
