"""Geography and networks as parts of the graph: countries, regions, cities, autonomous systems and clouds."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.model.geography import Area, AreaKind, AreaPage
from spectra.store import places
from spectra.store.places import Key

router = APIRouter(tags=["places"])

_PAGE: Final[dict[str, Any]] = {
    "dependencies": [scope("search:read")],
    "responses": described(Area, 400, 401, 403, 404),
    "response_class": Response,
}
_LIST: Final[dict[str, Any]] = {
    "dependencies": [scope("search:read")],
    "responses": described(AreaPage, 400, 401, 403),
    "response_class": Response,
}

Code = Annotated[str, Path(description="ISO 3166-1 alpha-2", pattern=r"^[A-Za-z]{2}$")]
Name = Annotated[str, Path(max_length=200, description="English name, in any case")]
Provider = Annotated[str, Path(max_length=64, description="such as `aws`")]
Cursor = Annotated[str, Query(description="`next_cursor` of the page before")]
Limit = Annotated[int, Query(ge=1, le=places.MAX_LIMIT)]
Within = Annotated[str, Query(description="only of this country, by its ISO code", pattern=r"^([A-Za-z]{2})?$")]


@router.get("/v0/asn", summary="Autonomous systems, those with the most hosts first", **_LIST)
def systems(services: ServicesDep, cursor: Cursor = "", limit: Limit = 100) -> Response:
    """Every autonomous system in which a host is known."""
    return _list(services, "asn", "", cursor, limit)


@router.get("/v0/country", summary="Countries, those with the most hosts first", **_LIST)
def countries(services: ServicesDep, cursor: Cursor = "", limit: Limit = 100) -> Response:
    """Every country in which a host is known."""
    return _list(services, "country", "", cursor, limit)


@router.get("/v0/region", summary="Regions, those with the most hosts first", **_LIST)
def regions(services: ServicesDep, country: Within = "", cursor: Cursor = "", limit: Limit = 100) -> Response:
    """Every region in which a host is known, or those of one country."""
    return _list(services, "region", country, cursor, limit)


@router.get("/v0/city", summary="Cities, those with the most hosts first", **_LIST)
def cities(services: ServicesDep, country: Within = "", cursor: Cursor = "", limit: Limit = 100) -> Response:
    """Every city in which a host is known, or those of one country."""
    return _list(services, "city", country, cursor, limit)


@router.get("/v0/cloud", summary="Clouds, those with the most hosts first", **_LIST)
def clouds(services: ServicesDep, cursor: Cursor = "", limit: Limit = 100) -> Response:
    """Every cloud in whose published ranges a host is known."""
    return _list(services, "cloud", "", cursor, limit)


@router.get("/v0/asn/{number}", summary="An autonomous system", **_PAGE)
def system(services: ServicesDep, number: Annotated[int, Path(ge=1, le=4294967295)]) -> Response:
    """What is in it: hosts, endpoints, services, and its countries, regions, cities and clouds."""
    return _page(services, "asn", "", str(number))


@router.get("/v0/country/{code}", summary="A country", **_PAGE)
def country(services: ServicesDep, code: Code) -> Response:
    """What is in it: hosts, endpoints, services, and its regions, cities, autonomous systems and clouds."""
    return _page(services, "country", "", code.upper())


@router.get("/v0/region/{code}/{name:path}", summary="A region of a country", **_PAGE)
def region(services: ServicesDep, code: Code, name: Name) -> Response:
    """What is in it: hosts, endpoints, services, and its country, cities, autonomous systems and clouds."""
    return _page(services, "region", code.upper(), name)


@router.get("/v0/city/{code}/{name:path}", summary="A city of a country", **_PAGE)
def city(services: ServicesDep, code: Code, name: Name) -> Response:
    """What is in it: hosts, endpoints, services, and its region, country, autonomous systems and clouds."""
    return _page(services, "city", code.upper(), name)


@router.get("/v0/cloud/{provider}", summary="A cloud", **_PAGE)
def cloud(services: ServicesDep, provider: Provider) -> Response:
    """What is in it: hosts, endpoints, services, and its regions, its own services and the countries it is in."""
    return _page(services, "cloud", "", provider)


@router.get("/v0/cloud/{provider}/{region:path}", summary="A region of a cloud", **_PAGE)
def cloud_region(services: ServicesDep, provider: Provider, region: Annotated[str, Path(max_length=200)]) -> Response:
    """What is in it: hosts, endpoints, services, and where it is."""
    return _page(services, "cloud_region", provider, region)


def _page(services: ServicesDep, kind: AreaKind, parent: str, name: str) -> Response:
    return answer(places.area(services.database, Key(kind, parent, name)))


def _list(services: ServicesDep, kind: AreaKind, parent: str, cursor: str, limit: int) -> Response:
    return answer(places.areas(services.database, kind, parent=parent.upper(), cursor=cursor, limit=limit))
