"""Feeds of lines: plain lists, geofeeds and tables of countries."""

from __future__ import annotations

import csv
import ipaddress
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.enrich.locator import Locator
from spectra.intel.feeds import FeedError, files, lists, read
from spectra.intel.feeds.countries import COUNTRIES
from tests.intel.feeds.samples import GEOFEED, place, table_of


@pytest.mark.parametrize(
    ("name", "provider", "networks"),
    [
        ("cloudflare-v4-ip-ranges.txt", "cloudflare", 15),
        ("cloudflare-v6-ip-ranges.txt", "cloudflare", 7),
        ("akamai-v4-ip-ranges.txt", "akamai", 19),
        ("akamai-v6-ip-ranges.txt", "akamai", 3),
    ],
)
def test_plain_lists_by_the_name_of_the_file(shared_data: Path, name: str, provider: str, networks: int) -> None:
    """Every network of the file is the provider's whose name the file has."""
    path = shared_data / "cloud" / name
    table = read(path)
    assert (table.kind, table.provider, table.networks) == ("cloud", provider, networks)
    for line in path.read_text("utf-8").split():
        found = place(table, str(ipaddress.ip_network(line)[-1]))
        assert (found.cloud, found.cloud_service) == (provider, "CDN")


def test_a_list_of_nobody_is_refused(tmp_path: Path) -> None:
    """Who gives it says whose it is, or the name of the file does."""
    with pytest.raises(FeedError) as caught:
        table_of(tmp_path, "192.0.2.0/24\n")
    assert caught.value.reason == "feed_provider"
    assert caught.value.hint
    assert place(table_of(tmp_path, "192.0.2.0/24\n", provider="example-net"), "192.0.2.1").cloud == "example-net"
    with pytest.raises(FeedError) as caught:
        table_of(tmp_path, "192.0.2.0/24\n", provider="Not A Name")
    assert caught.value.field == "provider"


@pytest.mark.parametrize(
    ("name", "provider"),
    [("Cloudflare_IPs.txt", "cloudflare"), ("linode.txt.zst", "linode"), ("my-list.txt", ""), ("ovhcloud.txt", "")],
)
def test_provider_of_a_file_name(name: str, provider: str) -> None:
    """A whole word of the name, in any case."""
    assert lists.provider_of(name) == provider


@pytest.mark.parametrize(("name", "networks"), [("digitalocean.csv", 1182), ("linode.txt.zst", 4552)])
def test_geofeeds_of_providers(shared_data: Path, name: str, networks: int) -> None:
    """Every line is found at the first address of its network, unless a longer one begins there."""
    path = shared_data / "cloud" / name
    table = read(path)
    assert (table.kind, table.format, table.networks) == ("cloud", "geofeed", networks)
    rows = [row for row in csv.reader(files.load(path).decode().splitlines()) if row and row[0][0] != "#"]
    longest: dict[str, list[str]] = {}
    for row in rows:
        first, _, length = row[0].partition("/")
        if first not in longest or int(length) >= int(longest[first][0].partition("/")[2]):
            longest[first] = row
    found = Locator([table]).locate(list(longest))
    for row, at in zip(longest.values(), found, strict=True):
        assert at.cloud == table.provider
        assert (at.country, at.country_name) == (row[1], COUNTRIES[row[1]])
        assert (at.region, at.city) == (row[2], row[3].strip()), row


def test_a_geofeed_of_nobody_is_a_geo_table(tmp_path: Path) -> None:
    """Comments, addresses alone, missing and empty fields, codes in lower case."""
    table = table_of(tmp_path, GEOFEED)
    assert (table.kind, table.networks, table.version) == ("geo", 4, "2025-07-24 10:00:06.525037")
    assert table.built
    found = [place(table, ip) for ip in ("192.0.2.1", "2001:db8::1", "198.51.100.7", "203.0.113.1")]
    assert [(p.country, p.region, p.city) for p in found] == [
        ("NL", "NL-NH", "Amsterdam"),
        ("US", "US-TX", "Richardson"),
        ("FR", "", ""),
        ("", "", ""),
    ]


def test_quoted_fields_and_odd_dates(tmp_path: Path) -> None:
    """A city with a comma in it; a date that is none is no date."""
    table = table_of(tmp_path, '# last modified: 2025-99-24 10:00:06\n192.0.2.0/24,US,US-TX,"Dallas, Fort Worth",\n')
    assert (table.built, place(table, "192.0.2.1").city) == (None, "Dallas, Fort Worth")


def test_countries(shared_data: Path) -> None:
    """Every network of the real table is found in its country."""
    path = shared_data / "asn" / "ipverse_country_cidrs.csv.zst"
    table = read(path)
    assert (table.kind, table.format, table.networks) == ("geo", "countries", 243_034)
    rows = [line.split(",") for line in files.load(path).decode().splitlines()[1:]]
    sample = rows[::25]
    found = Locator([table]).locate([net.partition("/")[0] for net, _ in sample])
    assert [at.country for at in found] == [country for _, country in sample]


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("192.0.2.0/24,FR\n192.0.2.0/24,FRA\n", 2, "country"),
        ("192.0.2.0/24,FR\n\n192.0.2.0/24,FR,Paris\n", 3, "region"),
        ("192.0.2.0/24,FR\n192.0.2/24,FR\n", 2, ""),
        ("cidr,country\n192.0.2.0/24,FR\n192.0.2.0/24,??\n", 3, "country"),
        ("192.0.2.0/24,FR\n\x00\x01,FR\n", 2, ""),
        ("192.0.2.0/24,FR\n192.0.2.0/24,FR,FR-75,\udc80\n", 2, ""),
    ],
)
def test_the_line_that_is_wrong_is_named(tmp_path: Path, text: str, line: int, field: str) -> None:
    """And which field of it, where it is one."""
    with pytest.raises(FeedError) as caught:
        table_of(tmp_path, text.encode("utf-8", "surrogateescape"))
    assert (caught.value.line, caught.value.field) == (line, field)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else is raised, whatever stands in a feed."""
    data = f"192.0.2.0/24,FR\n{text}".encode("utf-8", "replace")
    for reader in (lambda d: lists.geofeed(d, ""), lambda d: lists.plain(d, "x"), lists.country_table):  # type: ignore[misc]
        with suppress(FeedError):
            assert reader(data).networks > 0
