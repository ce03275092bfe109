"""The range files that cloud and edge providers publish as JSON. Regions and services are the providers' own words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from spectra.intel.feeds import files
from spectra.intel.feeds.addresses import Bad
from spectra.intel.feeds.build import Rows, cloud_table
from spectra.intel.feeds.errors import FeedError
from spectra.intel.feeds.table import About, Table
from spectra.model.facts import Place

Fields = dict[str, msgspec.Raw]
"""The top level of a JSON object, undecoded: enough to recognise a format."""


class _Listed(msgspec.Struct):
    """Rows, and where in the JSON each stands."""

    provider: str
    rows: Rows = msgspec.field(default_factory=lambda: Rows([], [], []))
    where: list[str] = []

    def add(self, text: str, where: str, *, service: str = "", region: str = "", rank: int = 2) -> None:
        """One network."""
        place = Place(cloud=self.provider, cloud_service=files.word(service), cloud_region=files.word(region))
        self.rows.texts.append(text)
        self.rows.places.append(place)
        self.rows.ranks.append(rank)
        self.where.append(where)

    def table(self, about: About) -> Table:
        """All of them."""
        bad: Bad = lambda row, why: FeedError(f"{self.where[row]}: {why}.", field=self.where[row])  # noqa: E731
        return cloud_table(about, self.rows, bad)


class _AwsPrefix(msgspec.Struct):
    region: str
    service: str
    ip_prefix: str = ""
    ipv6_prefix: str = ""


class _Aws(msgspec.Struct):
    syncToken: str  # noqa: N815 - AWS's name
    createDate: str  # noqa: N815 - AWS's name
    prefixes: list[_AwsPrefix]
    ipv6_prefixes: list[_AwsPrefix] = []


# AWS lists whatever it has under AMAZON and most of it under EC2 too; any other service is a part of those.
_AWS_RANKS: Final = {"AMAZON": 0, "EC2": 1}


def aws(data: bytes) -> Table:
    """`ip-ranges.json` of AWS (https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html)."""
    feed = files.json(data, _Aws)
    listed = _Listed("aws")
    for name, prefixes in (("prefixes", feed.prefixes), ("ipv6_prefixes", feed.ipv6_prefixes)):
        key = "ip_prefix" if name == "prefixes" else "ipv6_prefix"
        for i, prefix in enumerate(prefixes):
            rank = _AWS_RANKS.get(prefix.service, 2)
            text = prefix.ip_prefix or prefix.ipv6_prefix
            listed.add(text, f"{name}[{i}].{key}", service=prefix.service, region=prefix.region, rank=rank)
    built = _time(feed.createDate, "createDate", "%Y-%m-%d-%H-%M-%S")
    return listed.table(About("cloud", "aws", files.word(feed.syncToken), built, provider="aws"))


class _GooglePrefix(msgspec.Struct):
    ipv4Prefix: str = ""  # noqa: N815 - Google's name
    ipv6Prefix: str = ""  # noqa: N815 - Google's name
    service: str = ""
    scope: str = ""


class _Google(msgspec.Struct):
    syncToken: str  # noqa: N815 - Google's name
    creationTime: str  # noqa: N815 - Google's name
    prefixes: list[_GooglePrefix]


def google(data: bytes) -> Table:
    """`cloud.json` of Google Cloud, and `goog.json`, which lists all that is Google's, without service or scope."""
    feed = files.json(data, _Google)
    provider = "gcp" if any(prefix.scope for prefix in feed.prefixes) else "google"
    listed = _Listed(provider)
    for i, prefix in enumerate(feed.prefixes):
        key = "ipv4Prefix" if prefix.ipv4Prefix else "ipv6Prefix"
        text = prefix.ipv4Prefix or prefix.ipv6Prefix
        listed.add(text, f"prefixes[{i}].{key}", service=prefix.service, region=prefix.scope)
    built = _time(feed.creationTime, "creationTime")
    return listed.table(About("cloud", provider, files.word(feed.syncToken), built, provider=provider))


class _AzureProperties(msgspec.Struct):
    addressPrefixes: list[str]  # noqa: N815 - Azure's name
    region: str = ""
    systemService: str = ""  # noqa: N815 - Azure's name


class _AzureTag(msgspec.Struct):
    name: str
    properties: _AzureProperties


class _Azure(msgspec.Struct):
    changeNumber: int  # noqa: N815 - Azure's name
    values: list[_AzureTag]
    cloud: str = ""


def azure(data: bytes) -> Table:
    """`ServiceTags_*.json` of Azure. The service is the name of the tag without its region; AzureCloud holds all."""
    feed = files.json(data, _Azure)
    listed = _Listed("azure")
    for i, tag in enumerate(feed.values):
        region = tag.properties.region
        # `Storage.EastUS` is the part of `Storage` in a region, `AzureFrontDoor.Backend` a service of its own.
        service = tag.name.partition(".")[0] if region else tag.name
        rank = 0 if service == "AzureCloud" else 2
        for j, prefix in enumerate(tag.properties.addressPrefixes):
            where = f"values[{i}].properties.addressPrefixes[{j}]"
            listed.add(prefix, where, service=service, region=region, rank=rank)
    return listed.table(About("cloud", "azure", str(feed.changeNumber), provider="azure"))


class _OracleCidr(msgspec.Struct):
    cidr: str
    tags: list[str] = []


class _OracleRegion(msgspec.Struct):
    region: str
    cidrs: list[_OracleCidr]


class _Oracle(msgspec.Struct):
    last_updated_timestamp: str
    regions: list[_OracleRegion]


def oracle(data: bytes) -> Table:
    """`public_ip_ranges.json` of Oracle Cloud: OCI is what customers have, OSN Oracle's own services."""
    feed = files.json(data, _Oracle)
    listed = _Listed("oracle")
    ranks = {"OCI": 0, "OSN": 1}
    for i, region in enumerate(feed.regions):
        for j, cidr in enumerate(region.cidrs):
            for tag in cidr.tags or [""]:
                where = f"regions[{i}].cidrs[{j}].cidr"
                listed.add(cidr.cidr, where, service=tag, region=region.region, rank=ranks.get(tag, 2))
    built = _time(feed.last_updated_timestamp, "last_updated_timestamp")
    return listed.table(About("cloud", "oracle", feed.last_updated_timestamp[:40], built, provider="oracle"))


class _Fastly(msgspec.Struct):
    addresses: list[str]
    ipv6_addresses: list[str] = []


def fastly(data: bytes) -> Table:
    """Fastly's public address list."""
    feed = files.json(data, _Fastly)
    listed = _Listed("fastly")
    for name, texts in (("addresses", feed.addresses), ("ipv6_addresses", feed.ipv6_addresses)):
        for i, text in enumerate(texts):
            listed.add(text, f"{name}[{i}]", service="CDN")
    return listed.table(About("cloud", "fastly", provider="fastly"))


class _Zscaler(msgspec.Struct):
    hubPrefixes: list[str]  # noqa: N815 - Zscaler's name
    cloudName: str = ""  # noqa: N815 - Zscaler's name


def zscaler(data: bytes) -> Table:
    """Zscaler's hub prefixes; the service is the name of its cloud (`zscaler.net`)."""
    feed = files.json(data, _Zscaler)
    listed = _Listed("zscaler")
    for i, text in enumerate(feed.hubPrefixes):
        listed.add(text, f"hubPrefixes[{i}]", service=feed.cloudName)
    return listed.table(About("cloud", "zscaler", provider="zscaler"))


_GITHUB_OTHER: Final = frozenset({"ssh_keys", "ssh_key_fingerprints", "domains", "verifiable_password_authentication"})


def github(data: bytes) -> Table:
    """GitHub's `meta` answer: an array of networks for each service, among things that are no networks."""
    feed = files.json(data, Fields)
    listed = _Listed("github")
    for name, raw in feed.items():
        if name in _GITHUB_OTHER or bytes(raw)[:1] != b"[":
            continue
        for i, text in enumerate(files.json(bytes(raw), list[str], name)):
            listed.add(text, f"{name}[{i}]", service=name)
    return listed.table(About("cloud", "github", provider="github"))


_KNOWN: Final[tuple[tuple[frozenset[str], Callable[[bytes], Table]], ...]] = (
    (frozenset({"syncToken", "createDate", "prefixes"}), aws),
    (frozenset({"syncToken", "creationTime", "prefixes"}), google),
    (frozenset({"changeNumber", "values"}), azure),
    (frozenset({"last_updated_timestamp", "regions"}), oracle),
    (frozenset({"hubPrefixes"}), zscaler),
    (frozenset({"ssh_key_fingerprints", "hooks"}), github),
    (frozenset({"addresses"}), fastly),
)


def reader(fields: Fields) -> Callable[[bytes], Table] | None:
    """The reader of a JSON feed with these fields at its top, None where it is no provider's."""
    return next((read for keys, read in _KNOWN if keys <= fields.keys()), None)


def _time(text: str, field: str, form: str = "") -> datetime:
    """A time in UTC; those without a zone are in UTC."""
    try:
        at = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007 - zone follows
    except ValueError as error:
        raise FeedError(f"{field}: {text[:40]!r} is no time.", field=field) from error
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
