"""The made-up world: the feeds say what the functions say, always the same, by Zipf's law."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from spectra.bench import hosts, networks
from spectra.intel.enrich.locator import Locator
from spectra.intel.feeds import Table, read
from spectra.intel.feeds.countries import COUNTRIES

COUNT = 40_000


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[Table]:
    """The feeds of the first hosts, read as the server reads them."""
    folder: Path = tmp_path_factory.mktemp("feeds")
    for name, data in networks.feeds(COUNT).items():
        (folder / name).write_bytes(data)
    return [read(path) for path in sorted(folder.iterdir())]


def test_feeds_say_where_hosts_are(tables: list[Table]) -> None:
    """Every host is located in the city, the system and the cloud that the questions of the bench expect it in."""
    assert {(table.kind, table.format) for table in tables} == {
        ("geo", "geofeed"),
        ("asn", "routeviews"),
        ("as-names", "asnames"),
        ("cloud", "aws"),
    }
    numbers = range(0, COUNT, 7)
    places = Locator(tables).locate([hosts.address(n) for n in numbers])
    for number, place in zip(numbers, places, strict=True):
        city = networks.city_at(number)
        assert (place.city, place.country, place.region) == (city.name, city.country, city.region)
        assert place.asn == networks.asn_at(number)
        assert place.org == f"Made-up Network {place.asn - networks.FIRST_ASN}"
        assert (networks.cloud_at(number) or ("", "")) == (place.cloud_service, place.cloud_region)


def test_few_cities_have_most_hosts_and_paris_one_in_a_hundred() -> None:
    """Over a million hosts, by the blocks they are in."""
    cities = Counter(networks.city_at(n) for n in range(0, 1_000_000, 32))
    total = sum(cities.values())
    assert 0.008 < cities[networks.City("Paris", "FR", "FR-IDF")] / total < 0.012
    assert cities.most_common(1)[0][1] / total > 0.1
    assert len(cities) > 2000
    clouded = sum(networks.cloud_at(n) is not None for n in range(0, 1_000_000, 128)) / (1_000_000 / 128)
    assert 0.1 < clouded < 0.14


def test_there_are_as_many_of_each_as_promised() -> None:
    """Cities of names of their own, in countries that exist."""
    cities = [networks.city(rank) for rank in range(networks.CITIES)]
    assert len({city.name for city in cities}) == networks.CITIES
    countries = {city.country for city in cities}
    assert countries <= COUNTRIES.keys()
    assert networks.COUNTRY_COUNT * 0.9 < len(countries) <= networks.COUNTRY_COUNT
    assert networks.asn(networks.SYSTEMS - 1) < 2**32
    assert networks.feeds(500) == networks.feeds(500)
