"""Places over all tables together: who is believed, and that nothing depends on how many are asked at once."""

from __future__ import annotations

import ipaddress
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from spectra.intel.enrich import locator as module
from spectra.intel.enrich.locator import Locator
from spectra.intel.feeds import Table, read
from spectra.intel.feeds.build import Rows, bad_line, cloud_table, table
from spectra.intel.feeds.routes import names
from spectra.intel.feeds.table import About, Kind
from spectra.model.facts import NOWHERE, Place

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NET = "192.0.2.0/24"
IP = "192.0.2.1"


def made(kind: Kind, form: str, rows: dict[str, Place], *, age: int | None = None, provider: str = "") -> Table:
    """A table of some networks, `age` days old."""
    built = None if age is None else NOW - timedelta(days=age)
    about = About(kind, form, built=built, provider=provider)
    columns = Rows(list(rows), list(rows.values()), [0] * len(rows))
    return (cloud_table if kind == "cloud" else table)(about, columns, bad_line(range(len(rows))))


def geo(form: str, place: Place, *, age: int | None = 1) -> Table:
    """A `geo` table of one network."""
    return made("geo", form, {NET: place}, age=age)


def cloud(provider: str, **networks: Place) -> Table:
    """A `cloud` table; names of networks are `n24` for 192.0.2.0/24."""
    rows = {f"192.0.2.0/{name[1:]}": place for name, place in networks.items()}
    return made("cloud", "x", rows, provider=provider)


def at(*tables: Table, ip: str = IP) -> Place:
    """Where `tables` have an address, in whatever order they are given."""
    found = Locator(tables).locate([ip])[0]
    assert Locator(tables[::-1]).locate([ip])[0] == found
    return found


FR = Place(country="FR", country_name="France", region="Île-de-France", city="Paris", latitude=48.86, longitude=2.35)
DE = Place(country="DE", country_name="Germany")


def test_a_feed_of_cities_goes_before_one_of_countries() -> None:
    """MaxMind's cities, then a geofeed, then countries, then where it is registered."""
    cities, country = geo("mmdb:GeoLite2-City", FR), geo("mmdb:GeoLite2-Country", DE, age=0)
    geofeed, registry = geo("geofeed", Place(country="US")), geo("countries", Place(country="NZ"), age=None)
    assert at(cities, country, geofeed, registry) == FR
    assert at(country, geofeed, registry).country == "US"
    assert at(country, registry) == DE
    assert at(registry).country == "NZ"


def test_a_feed_that_does_not_know_leaves_it_to_the_next() -> None:
    """Address by address."""
    cities = made("geo", "mmdb:GeoLite2-City", {"192.0.2.128/25": FR})
    country = geo("mmdb:GeoLite2-Country", DE)
    assert [p.country for p in Locator([country, cities]).locate(["192.0.2.1", "192.0.2.200"])] == ["DE", "FR"]


def test_what_is_outdated_comes_last() -> None:
    """A city database of two years ago after this month's countries; MaxMind's ASN before newer routes, if in time."""
    old = geo("mmdb:GeoLite2-City", FR, age=700)
    assert at(old, geo("mmdb:GeoLite2-Country", DE)) == DE
    routes = made("asn", "routeviews", {NET: Place(asn=2)}, age=0)
    fresh, stale = (made("asn", "mmdb:GeoLite2-ASN", {NET: Place(asn=1, org="One")}, age=age) for age in (30, 400))
    assert at(routes, fresh).asn == 1
    assert at(routes, stale).asn == 2


def test_of_two_alike_the_newer_is_taken() -> None:
    """Dates decide last."""
    newer, older = (made("asn", "routeviews", {NET: Place(asn=n)}, age=n) for n in (1, 2))
    assert at(newer, older).asn == 1


def test_the_name_of_an_as() -> None:
    """From the feed that told the number, else from any that knows it, else from the list of names, else none."""
    feed = made("asn", "mmdb:GeoLite2-ASN", {NET: Place(asn=1, org="One"), "198.51.100.0/24": Place(asn=2)})
    routes = made("asn", "routeviews", {"203.0.113.0/24": Place(asn=1), "203.0.113.0/25": Place(asn=3)})
    listed = names(b'{"1": "ONE Other, US", "2": "TWO Two, US"}')
    locator = Locator([routes, listed, feed])
    ips = ["192.0.2.1", "198.51.100.1", "203.0.113.200", "203.0.113.1"]
    assert [(p.asn, p.org) for p in locator.locate(ips)] == [(1, "One"), (2, "Two"), (1, "One"), (3, "")]
    assert Locator([listed]).locate(ips) == [NOWHERE] * 4


def test_an_enterprise_database_tells_the_network_too() -> None:
    """Its ASN holds where no table of ASNs knows one."""
    enterprise = made("geo", "mmdb:GeoIP2-Enterprise", {NET: Place(country="FR", asn=7, org="Seven")})
    assert at(enterprise) == Place(country="FR", asn=7, org="Seven")
    other = made("asn", "routeviews", {"192.0.2.0/25": Place(asn=8)})
    found = Locator([enterprise, other]).locate(["192.0.2.1", "192.0.2.200"])
    assert [(p.asn, p.org) for p in found] == [(8, ""), (7, "Seven")]


def test_the_longest_prefix_over_all_clouds() -> None:
    """Whoever lists the longest; GitHub loses a tie, as it is in another's network."""
    azure = cloud("azure", n24=Place(cloud="azure", cloud_service="AzureCloud", cloud_region="eastus"))
    github = cloud("github", n24=Place(cloud="github"), n26=Place(cloud="github", cloud_service="actions"))
    assert at(azure, github, ip="192.0.2.200").cloud == "azure"
    assert at(azure, github).cloud_service == "actions"
    found = at(azure, geo("mmdb:GeoLite2-City", FR), ip="192.0.2.200")
    assert (found.cloud, found.cloud_region, found.city) == ("azure", "eastus", "Paris")
    assert at(azure, ip="2001:db8::1") == NOWHERE


def test_a_provider_s_geofeed_fills_what_is_unknown() -> None:
    """All of it, or the city in the same country; not against a database, but against a registry."""
    feed = cloud("x", n24=Place(cloud="x", country="FR", country_name="France", region="FR-IDF", city="Paris"))
    assert at(feed).city == "Paris"
    same = at(feed, geo("mmdb:GeoLite2-City", Place(country="FR", country_name="France", latitude=46.0, longitude=2.0)))
    assert (same.city, same.region, same.latitude, same.cloud) == ("Paris", "FR-IDF", 46.0, "x")
    assert at(feed, geo("mmdb:GeoLite2-City", DE)).country == "DE"
    assert at(feed, geo("mmdb:GeoLite2-City", DE)).city == ""
    assert at(feed, geo("countries", DE)).city == "Paris"
    assert at(feed, geo("mmdb:GeoLite2-City", FR)).region == "Île-de-France"
    plain = cloud("x", n24=Place(cloud="x"))
    assert at(plain, geo("countries", DE)) == Place(country="DE", country_name="Germany", cloud="x")


def test_prefixes_are_those_of_the_feed_that_is_believed() -> None:
    """What a table above knows is cut out; neighbours are one; both families, in order."""
    first = made("asn", "mmdb:GeoLite2-ASN", {"192.0.2.64/26": Place(asn=2), "10.0.0.0/9": Place(asn=1)}, age=1)
    second = made(
        "asn",
        "routeviews",
        {NET: Place(asn=1), "10.128.0.0/9": Place(asn=1), "2001:db8::/32": Place(asn=1), "fe00::/7": Place(asn=1)},
        age=1,
    )
    locator = Locator([second, first])
    assert locator.prefixes(1) == ["10.0.0.0/8", "192.0.2.0/26", "192.0.2.128/25", "2001:db8::/32", "fe00::/7"]
    assert locator.prefixes(2) == ["192.0.2.64/26"]
    assert locator.prefixes(3) == []


def test_equal_places_are_one_object() -> None:
    """Over calls, tables and families, so that a million hosts in Paris are one place in memory."""
    locator = Locator([made("geo", "geofeed", {NET: FR, "2001:db8::/32": FR, "198.51.100.0/24": FR})])
    first = locator.locate([IP, "2001:db8::1", "198.51.100.1", "8.8.8.8"])
    again = locator.locate([IP])
    assert len({id(place) for place in [*first[:3], *again]}) == 1
    assert first[3] is NOWHERE


def test_places_are_forgotten_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache has a bound, and answers stay right."""
    monkeypatch.setattr(module, "_CACHED", 3)
    rows = {f"192.0.2.{n}/32": Place(asn=n + 1) for n in range(20)}
    locator = Locator([made("asn", "routeviews", rows)])
    for _ in range(2):
        assert [p.asn for p in locator.locate([f"192.0.2.{n}" for n in range(20)])] == list(range(1, 21))
    assert len(vars(locator)["_places"]) <= 3


def test_no_tables_and_no_addresses() -> None:
    """Nothing is known of anything."""
    assert Locator([]).locate([IP, "2001:db8::1", "no address", ""]) == [NOWHERE] * 4
    assert Locator([geo("geofeed", FR)]).locate([]) == []
    assert Locator([]).prefixes(1) == []


def test_many_are_as_few(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over real tables: all at once, in parts, one at a time and from threads, in every mix of families and rubbish."""
    folder = shared_data
    tables = [
        read(folder / name)
        for name in (
            "geoip/maxmind/test-data/GeoLite2-City-Test.mmdb",
            "geoip/maxmind/test-data/GeoLite2-ASN-Test.mmdb",
            "cloud/aws-ip-ranges.json.zst",
            "cloud/linode.txt.zst",
            "cloud/fastly-ip-ranges.json",
        )
    ]
    rng = random.Random(3)
    known = ["81.2.69.142", "2.125.160.216", "3.5.140.1", "2600:3c00::1", "2001:218::1", "1.128.0.9", "151.101.1.1"]
    ips = [
        rng.choice(
            [*known, "rubbish", str(ipaddress.IPv4Address(rng.getrandbits(32))), f"2600:{rng.getrandbits(8):x}::1"]
        )
        for _ in range(3000)
    ]
    locator = Locator(tables)
    whole = locator.locate(ips)
    assert sum(place.known for place in whole) > 1000
    assert [locator.locate([ip])[0] for ip in ips[:300]] == whole[:300]
    monkeypatch.setattr(module, "_AT_ONCE", 64)
    fresh = Locator(tables)
    results: list[list[Place]] = []
    threads = [Thread(target=lambda: results.append(fresh.locate(ips))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [whole] * 4
