"""MaxMind-format files: the expected answers that MaxMind publishes with its test databases, and the corrupt ones."""

from __future__ import annotations

import gzip
import ipaddress
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spectra.bench.mmdb import MARKER, database, encoded
from spectra.intel.enrich.locator import Locator
from spectra.intel.feeds import FeedError, Table, maxmind, read
from spectra.model.facts import NOWHERE, Place

EXPECTED = [
    "GeoLite2-City",
    "GeoLite2-Country",
    "GeoLite2-ASN",
    "GeoIP2-City",
    "GeoIP2-Country",
    "GeoIP2-ISP",
    "GeoIP2-Enterprise",
    "GeoIP2-Precision-Enterprise",
]


Net = ipaddress.IPv4Network | ipaddress.IPv6Network


def source(folder: Path, name: str) -> dict[Net, dict[str, Any]]:
    """The networks of a test database and what is said of them, as their makers wrote it down."""
    path = folder / "source-data" / f"{name}-Test.json.gz"
    items: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))
    return {_network(net): record for item in items for net, record in item.items()}


def _network(text: str) -> Net:
    net = ipaddress.ip_network(text, strict=False)  # some are written with bits too many
    if net.version == 6 and net.prefixlen >= 96 and int(net.network_address) >> 32 == 0:
        return ipaddress.IPv4Network((int(net.network_address), net.prefixlen - 96))
    return net


def expected(record: dict[str, Any]) -> Place:
    """The place that a record tells of, put together in the plainest way."""
    country, city = record.get("country", {}), record.get("city", {})
    parts = record.get("subdivisions") or [{}]
    spot = record.get("location", {})
    traits = record if "autonomous_system_number" in record else record.get("traits", {})
    asn = traits.get("autonomous_system_number", 0)
    return Place(
        asn=asn,
        org=(traits.get("autonomous_system_organization") or traits.get("isp", "")) if asn else "",
        country=country.get("iso_code", ""),
        country_name=country.get("names", {}).get("en", ""),
        region=parts[0].get("names", {}).get("en") or parts[0].get("iso_code", ""),
        city=city.get("names", {}).get("en", ""),
        latitude=round(float(spot["latitude"]), 2) if "latitude" in spot else None,
        longitude=round(float(spot["longitude"]), 2) if "longitude" in spot else None,
    )


def probes(nets: Collection[Net]) -> Iterator[tuple[Net, str]]:
    """The first, the middle and the last address of each network, where no longer prefix of the same file holds."""
    inside: defaultdict[Net, list[Net]] = defaultdict(list)
    for net in nets:
        for length in range(net.prefixlen):
            inside[net.supernet(new_prefix=length)].append(net)
    for net in nets:
        for offset in (0, net.num_addresses // 2, net.num_addresses - 1):
            ip = net.network_address + offset
            if not any(ip in longer for longer in inside[net]):
                yield net, str(ip)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_expected_network_is_where_its_makers_say(shared_data: Path, tmp_path: Path, name: str) -> None:
    """First, middle and last address of each network, after reading, saving, loading and locating."""
    folder = shared_data / "geoip" / "maxmind"
    table = read(folder / "test-data" / f"{name}-Test.mmdb")
    assert table.kind == ("asn" if name.endswith(("ASN", "ISP")) else "geo")
    assert table.format == f"mmdb:{name}"
    assert table.built
    assert table.version == f"{table.built:%Y-%m-%dT%H:%M:%SZ}"
    table.save(tmp_path / "table")
    locator = Locator([Table.load(tmp_path / "table")])
    nets = source(folder, name)
    assert len(nets) > 20
    asked = list(probes(nets))
    for (net, ip), found in zip(asked, locator.locate([ip for _, ip in asked]), strict=True):
        at, told = found, expected(nets[net])
        if found.asn and not told.org:  # its name is known from another network
            at = msgspec.structs.replace(found, org="")
        assert at == told, (net, ip)


def test_aliases_are_found_as_maxminddb_finds_them(shared_data: Path) -> None:
    """6to4, Teredo and mapped addresses lead to the IPv4 address in them, as the library has it."""
    import maxminddb

    path = shared_data / "geoip" / "maxmind" / "test-data" / "GeoLite2-City-Test.mmdb"
    locator = Locator([read(path)])
    with maxminddb.open_database(path) as reader:
        for ip in ("2002:5102:458e::1", "2001:0:5102:458e::7", "::ffff:81.2.69.142", "::81.2.69.142"):
            record: Any = reader.get(ip)
            assert record, ip
            assert locator.locate([ip])[0] == expected(record), ip
        assert locator.locate(["::ffff:1.1.1.1"])[0] == NOWHERE


def corrupt(shared_data: Path) -> list[Path]:
    """All files that were made to break readers."""
    folder = shared_data / "geoip" / "maxmind"
    test_data = [p for p in (folder / "test-data").glob("*.mmdb") if "roken" in p.name or "Invalid" in p.name]
    return sorted([*(folder / "bad-data").rglob("*.mmdb"), *test_data])


def test_corrupt_files_are_refused(shared_data: Path) -> None:
    """Each of them, with a sentence that says where; in a process of its own, as they were made to crash readers."""
    paths = corrupt(shared_data)
    assert len(paths) == 25
    code = """
import sys
from pathlib import Path
from spectra.intel.feeds import FeedError, read
for name in sys.argv[1:]:
    try:
        read(Path(name))
    except FeedError as error:
        print(error.reason, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(paths)
    assert {line.split()[0] for line in lines} == {"feed_corrupt", "feed_unknown"}
    assert "exceeds" in done.stdout


def test_databases_of_other_things_are_refused(shared_data: Path) -> None:
    """Domains, anonymisers, speeds: the type is named."""
    path = shared_data / "geoip" / "maxmind" / "test-data" / "GeoIP2-Domain-Test.mmdb"
    with pytest.raises(FeedError, match="GeoIP2-Domain") as caught:
        read(path)
    assert caught.value.reason == "feed_unknown"


PARIS = {"country": {"iso_code": "FR"}, "city": {"names": {"en": "Paris"}}, "location": {"latitude": 48.8566}}


def one(record: Any, **meta: Any) -> Table:
    """The table of a database of one network."""
    return maxmind.read(database({"192.0.2.0/24": record}, **meta))


def test_what_a_record_leaves_out_is_unknown() -> None:
    """A country without a name gets the common one; half a coordinate is none."""
    place = one(PARIS).record(0)
    assert place == Place(country="FR", country_name="France", city="Paris")


def test_an_ipv4_tree_and_asn_records() -> None:
    """DB-IP's and MaxMind's ASN databases have the same keys; a number of 0 is none."""
    record = {"autonomous_system_number": 64500, "autonomous_system_organization": "Example"}
    table = one(record, version=4, kind="DBIP-ASN-Lite (compat=GeoLite2-ASN)")
    assert (table.kind, table.networks) == ("asn", 1)
    assert Locator([table]).locate(["192.0.2.9", "192.0.3.1", "2001:db8::1"]) == [
        Place(asn=64500, org="Example"),
        NOWHERE,
        NOWHERE,
    ]
    with pytest.raises(FeedError, match="neither"):
        one({"autonomous_system_number": 0})


def test_a_network_above_the_ipv4_part_holds_for_ipv4() -> None:
    """A tree that says the same of `::/64` as a whole says it of every IPv4 address too."""
    table = maxmind.read(database({"::/64": PARIS}))
    places = Locator([table]).locate(["203.0.113.1", "::7", "0:0:0:0:1::"])
    assert [place.city for place in places] == ["Paris", "Paris", "Paris"]


@pytest.mark.parametrize(
    "record",
    [
        {"country": "FR"},
        {"country": {"iso_code": "France"}},
        {"country": {"iso_code": {"en": "FR"}}},
        {"country": {"names": ["France"]}},
        {"subdivisions": {"en": "x"}},
        {"subdivisions": ["x"]},
        {"city": {"names": {"en": {"a": "b"}}}},
        {"location": {"latitude": 91.0}},
        {"location": {"latitude": "north"}},
        {"autonomous_system_number": "AS64500"},
        {"autonomous_system_number": 1 << 32},
        "France",
    ],
)
def test_records_of_the_wrong_shape_are_refused(record: Any) -> None:
    """The network is named, so that the one who made the file can find it."""
    with pytest.raises(FeedError) as caught:
        one(record)
    assert "c000:200/120" in caught.value.field


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        ({"record_size": 20}, "metadata"),
        ({"ip_version": 5}, "metadata"),
        ({"node_count": 1 << 30}, "metadata"),
        ({"node_count": 0}, "metadata"),
        ({"build_epoch": (1 << 64) - 1}, "metadata.build_epoch"),
        ({"database_type": ["a"]}, "metadata"),
    ],
)
def test_metadata_that_cannot_be_is_refused(meta: dict[str, Any], field: str) -> None:
    """Each number of the metadata is checked before it is used."""
    with pytest.raises(FeedError) as caught:
        one(PARIS, **meta)
    assert caught.value.field.startswith(field)


def test_a_database_is_known_by_its_end() -> None:
    """The marker stands before the metadata; without metadata there is no database."""
    assert maxmind.is_database(database({"192.0.2.0/24": PARIS}))
    assert not maxmind.is_database(b"x" * 1000)
    for tail in (b"", encoded("text"), encoded({})):
        with pytest.raises(FeedError, match="metadata"):
            maxmind.read(MARKER + tail)
