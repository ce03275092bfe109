"""Geography and networks over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from spectra.model.facts import Place
from spectra.store.content import place_row
from spectra.store.rows import content_id, encode
from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine

PLACES = (
    Place(asn=64496, org="Example", country="IS", country_name="Iceland", region="Capital", city="Reykjavík",
          cloud="examplecloud", cloud_service="Compute", cloud_region="north-1"),
    Place(asn=64497, org="Other", country="IS", country_name="Iceland", region="North", city="Bær/Við Ána"),
)  # fmt: skip


@pytest.fixture(scope="module")
def hosts(node: Node) -> list[str]:
    """Two hosts in Iceland, where no other test has any."""
    ips = [samples.address(), samples.address()]
    node.submitted(samples.nmap(*(samples.nmap_host(ip, 80, 443, product="nginx") for ip in ips)))
    with node.services.database.connection() as connection:
        for ip, place in zip(ips, PLACES, strict=True):
            key = content_id(place.fingerprint)
            connection.execute(
                "INSERT INTO place SELECT * FROM json_populate_record(NULL::place, %s::json) ON CONFLICT DO NOTHING",
                [encode(place_row(key, place) | {"first_seen": "2026-01-01T00:00:00Z"}).decode()],
            )
            connection.execute("UPDATE host SET place = %s WHERE ip = %s::inet", [key, ip])
            connection.execute("UPDATE endpoint SET place = %s WHERE ip = %s::inet", [key, ip])
    return ips


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize(
    ("path", "name", "number"),
    [
        ("/v0/country/IS", "IS", 2),
        ("/v0/country/is", "IS", 2),
        ("/v0/region/IS/capital", "Capital", 1),
        ("/v0/city/is/Reykjavík", "Reykjavík", 1),
        ("/v0/city/IS/" + quote("Bær/Við Ána", safe=""), "Bær/Við Ána", 1),
        ("/v0/asn/64496", "64496", 1),
        ("/v0/cloud/examplecloud", "examplecloud", 1),
        ("/v0/cloud/examplecloud/north-1", "examplecloud/north-1", 1),
    ],
)
def test_a_page(node: Node, path: str, name: str, number: int) -> None:
    """Counts, relations, what runs there, and a query that finds just that."""
    page = node.get(path).json()
    assert (page["area"]["name"], page["area"]["hosts"], page["area"]["endpoints"]) == (name, number, 2 * number)
    assert page["top"]["product"]["values"] == [{"value": "nginx", "count": 2 * number}]
    assert page["total"] == {"count": 2 * number, "exact": True}
    assert node.get("/v0/count", q=page["area"]["query"]).json()["hosts"] == number
    assert page["relations"]
    for related in (row for rows in page["relations"].values() for row in rows if row["path"]):
        assert node.get(related["path"]).status_code == 200, related


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("kind", ["asn", "country", "region", "city", "cloud"])
def test_a_list(node: Node, kind: str) -> None:
    """Pages by cursor, the path of each leads to its page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = node.get(f"/v0/{kind}", limit=1, cursor=cursor).json()
        found += page["areas"]
        cursor = page.get("next_cursor", "")
        if not cursor:
            break
    assert found == node.get(f"/v0/{kind}", limit=1000).json()["areas"]
    assert all(node.get(row["path"]).json()["area"]["hosts"] == row["hosts"] for row in found)


@pytest.mark.usefixtures("hosts")
def test_lists_of_a_country(node: Node) -> None:
    """Cities and regions."""
    cities = node.get("/v0/city", country="is").json()["areas"]
    assert sorted(city["name"] for city in cities) == ["Bær/Við Ána", "Reykjavík"]
    assert len(node.get("/v0/region", country="IS").json()["areas"]) == 2
    assert node.get("/v0/region", country="ZZ").json() == {"areas": []}


@pytest.mark.parametrize(
    "path",
    ["/v0/country/ZZ", "/v0/city/IS/Atlantis", "/v0/region/IS/x", "/v0/asn/4200000000", "/v0/cloud/none",
     "/v0/cloud/none/x"],
)  # fmt: skip
def test_what_is_unknown_is_not_found(node: Node, path: str) -> None:
    """404, not an empty page."""
    is_problem(node.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v0/country/FRA", "code"),
        ("/v0/country/F1", "code"),
        ("/v0/city/1/Paris", "code"),
        ("/v0/asn/AS1", "number"),
        ("/v0/asn/0", "number"),
        ("/v0/asn/99999999999", "number"),
        ("/v0/city/FR/" + "x" * 201, "name"),
        ("/v0/cloud/" + "x" * 65, "provider"),
        ("/v0/city?country=FRA", "country"),
        ("/v0/asn?limit=0", "limit"),
        ("/v0/asn?limit=1001", "limit"),
        ("/v0/asn?cursor=x", "cursor"),
    ],
)
def test_a_mistake_is_pointed_at(node: Node, path: str, field: str) -> None:
    """The parameter it stands in."""
    assert is_problem(node.ask("GET", path), 400, "bad_request")["field"] == field


@pytest.mark.parametrize("path", ["/v0/asn", "/v0/country/IS"])
def test_a_token_is_needed(node: Node, path: str) -> None:
    """And a role that may search."""
    is_problem(node.ask("GET", path, ""), 401, "unauthenticated")
    is_problem(node.get(path, "module"), 403, "forbidden")
