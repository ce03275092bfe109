"""Areas as pages of the graph: their counts against counting, their relations, and lists that page by count."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, LiteralString

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.facts import HostFacts, Place
from spectra.model.geography import AreaKind, AreaRecord
from spectra.model.query import parse
from spectra.store import places
from spectra.store.counts import count
from spectra.store.database import Database
from spectra.store.places import Key, area, areas
from spectra.store.tallies import fold
from tests.store.scribe import T0, Scribe, host, seen
from tests.support.databases import another_database

pytestmark = pytest.mark.engine

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PLACES = (
    Place(asn=64500, org="Red", country="FR", country_name="France", region="Bretagne", city="Brest"),
    Place(asn=64500, org="Red", country="FR", country_name="France", region="Île-de-France", city="Paris"),
    Place(asn=64501, org="Blue", country="FR", country_name="France", region="Île-de-France", city="Paris"),
    Place(asn=64501, org="Blue", country="US", country_name="United States", region="Texas", city="Paris", cloud="aws",
          cloud_service="EC2", cloud_region="us-east-1"),
    Place(asn=64501, org="Blue", country="US", country_name="United States", cloud="aws", cloud_service="S3"),
    Place(asn=64502, org='Q "quoted" \\ *', country="US", country_name="United States", region="Ohio", city='A "B" C'),
    Place(asn=64503, org="Nowhere"),
    Place(country="DE", country_name="Germany", city="Bad/Ort"),
)  # fmt: skip


@pytest.fixture(scope="module")
def world(store_server: str, migrated_template: str) -> Iterator[Database]:
    """120 hosts, half of them folded."""
    rng = random.Random(5)
    with another_database(store_server, migrated_template) as database:
        write = Scribe(database)
        records: list[Any] = []
        for number in range(120):
            ip = f"192.0.2.{number}"
            place = PLACES[int(len(PLACES) * rng.random() ** 2)] if number % 10 else None
            ports = rng.sample([22, 80, 443, 8080], rng.randrange(0, 4))
            records += [HostFacts(ip, 1, place)] if place else []
            records.append(host(ip, T0, *[seen(p, "http" if p != 22 else "ssh", "nginx") for p in ports]))
            if number == 60:
                write(records)
                records = []
                fold(database)
        write(records)
        yield database


KINDS: dict[AreaKind, tuple[LiteralString, LiteralString]] = {
    "country": ("''", "p.country"),
    "region": ("p.country", "p.region"),
    "city": ("p.country", "p.city"),
    "asn": ("''", "nullif(p.asn, 0)::text"),
    "cloud": ("''", "p.cloud"),
    "cloud_region": ("p.cloud", "p.cloud_region"),
}


def counted(database: Database, kind: AreaKind, held: LiteralString = "true") -> dict[tuple[str, str], tuple[int, int]]:
    """Every area of a kind with its hosts and endpoints, by counting them."""
    parent, name = KINDS[kind]
    statement: LiteralString = f"""
        SELECT {parent}, {name}, count(DISTINCT h.ip), count(e.ip)
        FROM host h JOIN place p ON p.id = h.place LEFT JOIN endpoint e ON e.ip = h.ip AND e.state = 'o'
        WHERE {name} <> '' AND ({held}) GROUP BY 1, 2"""
    with database.connection() as connection:
        return {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(statement)}


def keyed(rows: tuple[AreaRecord, ...]) -> dict[tuple[str, str], tuple[int, int]]:
    """The records of a list in the same form."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        parent, _, name = row.name.partition("/") if row.kind == "cloud_region" else (row.country, "", row.name)
        found[parent, name] = (row.hosts, row.endpoints)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_area_is_listed(world: Database, kind: AreaKind) -> None:
    """With its hosts and endpoints, those with the most hosts first, page by page as in one."""
    whole = areas(world, kind, limit=1000)
    assert keyed(whole.areas) == counted(world, kind)
    assert not whole.next_cursor
    assert [a.hosts for a in whole.areas] == sorted((a.hosts for a in whole.areas), reverse=True)
    paged: list[AreaRecord] = []
    cursor = ""
    while True:
        page = areas(world, kind, cursor=cursor, limit=1)
        paged += page.areas
        cursor = page.next_cursor
        if not cursor:
            break
    assert tuple(paged) == whole.areas


@pytest.mark.parametrize("kind", KINDS)
def test_every_area_has_a_page(world: Database, kind: AreaKind) -> None:
    """Its counts are those of the list, its endpoints those that its own query finds."""
    for listed in areas(world, kind, limit=1000).areas:
        parent, _, name = listed.name.partition("/") if kind == "cloud_region" else (listed.country, "", listed.name)
        page = area(world, Key(kind, parent, name))
        assert (page.area.hosts, page.area.endpoints, page.area.name) == (listed.hosts, listed.endpoints, listed.name)
        assert page.total.count == listed.endpoints
        assert count(world, parse(page.area.query, NOW)).count == listed.endpoints
        for related in page.relations.values():
            for one in related:
                assert count(world, parse(one.query, NOW)).count >= one.endpoints
        assert list(page.top) == ["service", "product", "port"]


def test_relations_are_what_is_in_both(world: Database) -> None:
    """A country's cities, a network's countries, a city's region, a cloud's regions and services."""
    france = area(world, Key("country", "", "fr"))
    assert keyed(france.relations["city"]) == counted(world, "city", "p.country = 'FR'")
    assert keyed(france.relations["region"]) == counted(world, "region", "p.country = 'FR'")
    assert keyed(france.relations["asn"]) == counted(world, "asn", "p.country = 'FR'")
    assert "country" not in france.relations
    blue = area(world, Key("asn", "", "64501"))
    assert (blue.area.label, blue.area.query) == ("Blue", "asn:64501")
    assert keyed(blue.relations["country"]) == counted(world, "country", "p.asn = 64501")
    paris = area(world, Key("city", "FR", "paris"))
    assert [a.name for a in paris.relations["region"]] == ["Île-de-France"]
    assert paris.area.query == "country:FR city:Paris"
    aws = area(world, Key("cloud", "", "AWS"))
    assert keyed(aws.relations["cloud_region"]) == counted(world, "cloud_region", "p.cloud = 'aws'")
    assert {a.name for a in aws.relations["cloud_service"]} == {"aws/EC2", "aws/S3"}


def test_names_are_quoted_where_they_have_to_be(world: Database) -> None:
    """The query of a page finds its endpoints, and its path is one segment for each name, whatever is in them."""
    quoted = area(world, Key("city", "US", 'A "B" C')).area
    assert quoted.query == r'country:US city:"A \"B\" C"'
    assert quoted.path == "/v0/city/US/A%20%22B%22%20C"
    slashed = next(a for a in areas(world, "city", parent="DE").areas)
    assert (slashed.path, slashed.query) == ("/v0/city/DE/Bad%2FOrt", "country:DE city:Bad/Ort")


def test_lists_of_one_country(world: Database) -> None:
    """Only its cities."""
    assert keyed(areas(world, "city", parent="FR").areas) == counted(world, "city", "p.country = 'FR'")
    assert areas(world, "city", parent="ZZ").areas == ()


def test_countries_have_names(world: Database) -> None:
    """In the list, too."""
    assert {a.name: a.label for a in areas(world, "country").areas}["FR"] == "France"


@pytest.mark.parametrize(
    "key",
    [
        Key("country", "", "ZZ"),
        Key("city", "FR", "Texas"),
        Key("city", "DE", "Paris"),
        Key("region", "US", "Bretagne"),
        Key("asn", "", "4200000000"),
        Key("cloud", "", "gcp"),
        Key("cloud_region", "aws", "mars-1"),
    ],
)
def test_what_is_unknown_is_not_found(world: Database, key: Key) -> None:
    """With what was asked for in the message."""
    with pytest.raises(NotFound, match=key.name):
        area(world, key)


def test_an_area_that_was_left_is_not_found(database: Database, write: Scribe) -> None:
    """A place that no host is in any more, by newer feeds, has no page and is in no list."""
    write([HostFacts("192.0.2.1", 1, PLACES[0]), host("192.0.2.1", T0, seen(80))])
    fold(database)
    write([HostFacts("192.0.2.1", 2, PLACES[3]), host("192.0.2.1", T0.replace(day=2), seen(80))])
    for _ in range(2):
        with pytest.raises(NotFound):
            area(database, Key("country", "", "FR"))
        assert [a.name for a in areas(database, "country").areas] == ["US"]
        fold(database)


@pytest.mark.parametrize("limit", [0, 1001])
def test_limits_are_bounded(world: Database, limit: int) -> None:
    """Named in the error."""
    with pytest.raises(BadRequest) as caught:
        areas(world, "asn", limit=limit)
    assert caught.value.field == "limit"


def test_a_cursor_belongs_to_its_list(world: Database) -> None:
    """Neither damaged nor of another list."""
    cursor = areas(world, "city", limit=1).next_cursor
    wrong: tuple[tuple[AreaKind, str, str], ...] = (
        ("city", "FR", cursor),
        ("region", "", cursor),
        ("city", "", cursor[:-1]),
    )
    for kind, parent, text in wrong:
        with pytest.raises(BadRequest) as caught:
            areas(world, kind, parent=parent, cursor=text)
        assert caught.value.field == "cursor"


def test_few_relations_are_listed(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest of each kind."""
    monkeypatch.setattr(places, "RELATED", 1)
    page = area(world, Key("country", "", "US"))
    assert all(len(rows) == 1 for rows in page.relations.values())
