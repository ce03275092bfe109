"""Range files of providers: ranges of every real file, and the rules between overlapping ones."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spectra.intel.enrich.locator import Locator
from spectra.intel.feeds import FeedError, Table, files, read
from tests.intel.feeds.samples import AWS, AZURE, FASTLY, GCP, GITHUB, ORACLE, ZSCALER, place, table_of


def aws_rows(feed: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Network, region and service of each range."""
    for prefix in [*feed["prefixes"], *feed["ipv6_prefixes"]]:
        yield prefix.get("ip_prefix") or prefix["ipv6_prefix"], prefix["region"], prefix["service"]


def gcp_rows(feed: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """As `aws_rows`."""
    for prefix in feed["prefixes"]:
        yield prefix.get("ipv4Prefix") or prefix["ipv6Prefix"], prefix["scope"], prefix["service"]


def azure_rows(feed: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """As `aws_rows`."""
    for tag in feed["values"]:
        region = tag["properties"]["region"]
        for prefix in tag["properties"]["addressPrefixes"]:
            yield prefix, region, tag["name"].split(".")[0] if region else tag["name"]


def oracle_rows(feed: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """As `aws_rows`."""
    for region in feed["regions"]:
        for cidr in region["cidrs"]:
            for tag in cidr["tags"]:
                yield cidr["cidr"], region["region"], tag


def flat_rows(feed: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """All that looks like a network in a feed without regions, with any service."""
    for value in feed.values():
        for text in value if isinstance(value, list) else []:
            if re.fullmatch(r"[0-9a-f.:]+(/\d+)?", str(text)):
                yield text, "", ""


REAL = [
    ("aws-ip-ranges.json.zst", "aws", 9066, "1753388594", aws_rows),
    ("aws-ip-ranges_2026-08.json.zst", "aws", 11012, "1787433425", aws_rows),
    ("google-cloud-ip-ranges.json.zst", "gcp", 782, "1753409788780", gcp_rows),
    ("microsoft-azure-ip-ranges.json.zst", "azure", 50887, "363", azure_rows),
    ("oracle-cloud-ip-ranges.json.zst", "oracle", 896, "2025-07-21T07:13:25.457838", oracle_rows),
    ("fastly-ip-ranges.json", "fastly", 21, "", flat_rows),
    ("zscaler-cloud-ip-ranges.json", "zscaler", 80, "", flat_rows),
    ("github-ip-ranges.json.zst", "github", 5603, "", flat_rows),
]


@pytest.mark.parametrize(("name", "provider", "networks", "version", "rows"), REAL)
def test_ranges_of_a_real_file_are_found(
    shared_data: Path, tmp_path: Path, name: str, provider: str, networks: int, version: str, rows: Any
) -> None:
    """The first address is of the provider, in a region and of a service that some range around it names.

    Every range is asked for, of a long file every second or more, so that some 5000 are.
    """
    path = shared_data / "cloud" / name
    table = read(path)
    assert (table.kind, table.provider, table.networks, table.version) == ("cloud", provider, networks, version)
    table.save(tmp_path / "t")
    locator = Locator([Table.load(tmp_path / "t")])
    around: dict[tuple[int, int, int], set[tuple[str, str]]] = {}
    listed = list(rows(json.loads(files.load(path))))
    for text, region, service in listed:
        net = ipaddress.ip_network(text)
        around.setdefault((net.version, net.prefixlen, int(net.network_address)), set()).add((region, service))
    texts = sorted({text for text, _, _ in listed})
    texts = texts[:: 1 + len(texts) // 5000]
    lengths = {(version, length) for version, length, _ in around}
    found = locator.locate([text.partition("/")[0] for text in texts])
    for text, at in zip(texts, found, strict=True):
        net = ipaddress.ip_network(text)
        told: set[tuple[str, str]] = set()
        for length in (length for version, length in lengths if version == net.version):
            bits = max(net.max_prefixlen - length, 0)
            told |= around.get((net.version, length, int(net.network_address) >> bits << bits), set())
        assert at.cloud == provider
        assert rows is flat_rows or at.cloud_service in {service for _, service in told}, text
        assert at.cloud_region in {region for region, _ in told}, text
        # Nobody is told the whole where a part is known, nor "global" where there is a region.
        assert at.cloud_service not in ("AMAZON", "AzureCloud", "OCI") or len({s for _, s in told}) == 1, text
        assert at.cloud_region not in ("", "GLOBAL", "global") or {r.lower() for r, _ in told} <= {"", "global"}, text


def test_a_refresh_of_aws(shared_data: Path) -> None:
    """A year later: what was new in 2026 is found with the new table alone, and the two are told apart."""
    old, new = (
        read(shared_data / "cloud" / name) for name in ("aws-ip-ranges.json.zst", "aws-ip-ranges_2026-08.json.zst")
    )
    assert old.built
    assert new.built
    assert (old.built.year, new.built.year, new.networks > old.networks) == (2025, 2026, True)
    ips = {
        text.partition("/")[0]
        for text, _, _ in aws_rows(json.loads(files.load(shared_data / "cloud" / "aws-ip-ranges_2026-08.json.zst")))
    }
    ordered = sorted(ips)
    before, after = (Locator([table]).locate(ordered) for table in (old, new))
    assert all(found.cloud == "aws" for found in after)
    gained = sum(found.cloud == "" for found in before)
    assert 500 < gained < len(ordered)


def test_aws_prefers_the_part_to_the_whole(tmp_path: Path) -> None:
    """AMAZON and EC2 hold all else: S3 goes before them even where their prefix is longer. A region beats GLOBAL."""
    table = table_of(tmp_path, AWS)
    assert [place(table, f"198.51.100.{n}").cloud_service for n in (1, 100, 200)] == ["S3", "S3", "CLOUDFRONT"]
    assert [place(table, f"198.51.100.{n}").cloud_region for n in (1, 200)] == ["eu-west-1", "eu-west-1"]
    six = place(table, "2001:db8::5")
    assert (six.cloud, six.cloud_service, six.cloud_region) == ("aws", "EC2", "us-east-1")


def test_azure_prefers_the_smaller_service_and_any_region(tmp_path: Path) -> None:
    """A tag over AzureCloud, of two tags the one with fewer networks, and the region of whichever tells one."""
    table = table_of(tmp_path, AZURE)
    found = [place(table, f"192.0.2.{n}") for n in (1, 65, 129, 193, 240)]
    assert [(p.cloud_service, p.cloud_region) for p in found] == [
        ("Storage", "eastus"),
        ("ActionGroup", "eastus"),
        ("AzureMonitor", ""),
        ("Storage", "eastus"),
        ("Storage", "eastus"),
    ]


def test_the_others(tmp_path: Path) -> None:
    """One range each of Google Cloud, Oracle, Fastly, Zscaler and GitHub."""
    seen = [
        place(table_of(tmp_path, feed), ip)
        for feed, ip in (
            (GCP, "203.0.113.9"),
            (ORACLE, "192.0.2.9"),
            (ORACLE, "198.51.100.9"),
            (FASTLY, "2001:db8::9"),
            (ZSCALER, "192.0.2.9"),
            (GITHUB, "192.0.2.7"),
            (GITHUB, "192.0.2.8"),
        )
    ]
    assert [(p.cloud, p.cloud_service, p.cloud_region) for p in seen] == [
        ("gcp", "Google Cloud", "europe-west1"),
        ("oracle", "OCI", "us-ashburn-1"),
        ("oracle", "OBJECT_STORAGE", "us-ashburn-1"),
        ("fastly", "CDN", ""),
        ("zscaler", "zscaler.net", ""),
        ("github", "pages", ""),
        ("github", "hooks", ""),
    ]


def test_all_of_google_is_not_its_cloud(tmp_path: Path) -> None:
    """`goog.json` has the same form without scopes: Google's own services are in it too."""
    feed = GCP | {"prefixes": [{"ipv4Prefix": "203.0.113.0/24"}]}
    assert table_of(tmp_path, feed).provider == "google"


@pytest.mark.parametrize(
    ("feed", "field"),
    [
        (AWS | {"prefixes": [AWS["prefixes"][0], {"ip_prefix": "x", "region": "", "service": ""}]}, "prefixes[1]"),
        (AWS | {"ipv6_prefixes": [{"ipv6_prefix": "::1/8", "region": "", "service": ""}]}, "ipv6_prefixes[0]"),
        (AWS | {"prefixes": [{"ip_prefix": 7, "region": "", "service": ""}]}, "prefixes[0].ip_prefix"),
        (AWS | {"createDate": "yesterday"}, "createDate"),
        (GCP | {"creationTime": "never"}, "creationTime"),
        (AZURE | {"values": [{"name": "A", "properties": {"addressPrefixes": ["1.2.3"]}}]}, "values[0].properties"),
        (ORACLE | {"regions": [{"region": "r", "cidrs": [{"cidr": "1.2.3.0/33"}]}]}, "regions[0].cidrs[0].cidr"),
        (FASTLY | {"addresses": ["<html>"]}, "addresses[0]"),
        (GITHUB | {"web": [1]}, "web[0]"),
        (ZSCALER | {"hubPrefixes": None}, "hubPrefixes"),
    ],
)
def test_the_field_that_is_wrong_is_named(tmp_path: Path, feed: dict[str, Any], field: str) -> None:
    """By its path in the JSON."""
    with pytest.raises(FeedError) as caught:
        table_of(tmp_path, feed)
    assert caught.value.field.startswith(field)


def test_a_feed_of_nothing_is_refused(tmp_path: Path) -> None:
    """An empty list is what a provider's mistake looks like."""
    with pytest.raises(FeedError, match="no network"):
        table_of(tmp_path, FASTLY | {"addresses": [], "ipv6_addresses": []})
