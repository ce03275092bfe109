"""The fields of the query language: the one table that the parser, the store, suggestions, completion and docs read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

Kind = Literal[
    "address",
    "network",
    "port",
    "asn",
    "choice",
    "flag",
    "pattern",
    "name",
    "country",
    "cloud",
    "cpe",
    "hostname",
    "mac",
    "sha256",
    "serial",
    "moment",
    "time",
    "expiry",
    "words",
    "text",
    "cve",
    "score",
    "probability",
]

NOT, ANY, PREFIX, REGEX, RANGE, SPAN = "-", ",", "*", "/regex/", "low-high", "from..to"
_COMPARISONS: Final = (">", ">=", "<", "<=")
_OPERATORS: Final[dict[Kind, tuple[str, ...]]] = {
    "port": (*_COMPARISONS, RANGE),
    "asn": (PREFIX, *_COMPARISONS, RANGE),
    "time": (*_COMPARISONS, SPAN),
    "expiry": (*_COMPARISONS, SPAN),
    "pattern": (PREFIX,),
    "name": (PREFIX,),
    "country": (PREFIX,),
    "cloud": (PREFIX,),
    "cpe": (PREFIX,),
    "mac": (PREFIX,),
    "sha256": (PREFIX,),
    "cve": (PREFIX,),
    "score": (*_COMPARISONS, RANGE),
    "probability": (*_COMPARISONS, RANGE),
}


class Field(NamedTuple):
    """One field: what its values are, what it asks, and an example. `choices` are all values of a `choice`.

    `aliases` are other names of it, `regex`: a value may be `/regex/`, `sortable`: `sort=` takes it, `facetable`:
    `facets=` counts by it.
    """

    name: str
    kind: Kind
    description: str
    example: str
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    regex: bool = False
    sortable: bool = False
    facetable: bool = False

    @property
    def operators(self) -> tuple[str, ...]:
        """What may stand around its values: `-` before the term, `,` between values, `*` after one, and so on."""
        return (NOT, ANY, *_OPERATORS.get(self.kind, ()), *((REGEX,) if self.regex else ()))


PROVIDERS: Final = (
    "akamai",
    "aws",
    "azure",
    "cloudflare",
    "digitalocean",
    "fastly",
    "gcp",
    "github",
    "linode",
    "oracle",
    "zscaler",
)
"""The clouds and networks that publish their ranges; a feed of one's own may name others."""

FIELDS: Final[dict[str, Field]] = {
    field.name: field
    for field in (
        Field("ip", "address", "The address of the host.", "ip:192.0.2.7", sortable=True),
        Field("net", "network", "The host is in this network (CIDR).", "net:10.0.0.0/8"),
        Field("port", "port", "The port, or a range of ports.", "port:22,8000-8999", aliases=("common_port",),
              sortable=True, facetable=True),
        Field("protocol", "choice", "The transport protocol.", "protocol:udp", ("tcp", "udp", "sctp"), facetable=True),
        Field("state", "choice", "What the port answers; only open ones without it.", "state:closed",
              ("open", "closed", "filtered")),
        Field("service", "pattern", "The service by name; https, imaps ... also find the plain name inside TLS.",
              "service:ssh", regex=True, facetable=True),
        Field("product", "pattern", "Words of the product's name.", "product:nginx", regex=True, facetable=True),
        Field("version", "pattern", "The version or the start of it: 1.2 finds 1.2.3 but not 1.20.", "version:1.2",
              regex=True, facetable=True),
        Field("cpe", "cpe", "A CPE name of the software, or the start of one: vendor:product, or all of it.",
              "cpe:openbsd:openssh:9.2", facetable=True),
        Field("os", "pattern", "Words of the operating system of the host or of the service.", "os:linux", regex=True,
              facetable=True),
        Field("hostname", "hostname", "A name of the host, or any name below it.", "hostname:example.org",
              aliases=("domain",), regex=True, facetable=True),
        Field("mac", "mac", "The hardware address of the host.", "mac:00:1b:21*"),
        Field("vendor", "pattern", "Words of the maker of the host's network card.", "vendor:raspberry", regex=True),
        Field("title", "words", "Words of the title of the web page.", 'title:"log in"', aliases=("http.title",),
              regex=True, facetable=True),
        Field("country", "country", "The country, by its ISO code or English name.", "country:FR,DE", facetable=True),
        Field("region", "name", "The region (state, province) by its English name.", 'region:"New York"', regex=True,
              facetable=True),
        Field("city", "name", "The city by its English name.", "city:Paris", regex=True, facetable=True),
        Field("asn", "asn", "The number of the autonomous system, or a range.", "asn:AS13335,64512-65534",
              facetable=True),
        Field("org", "pattern", "Words of the name of the autonomous system.", "org:cloudflare", regex=True,
              facetable=True),
        Field("cloud", "cloud", "The cloud, and its region or service after a slash.", "cloud:aws/us-east-1",
              aliases=("cloud.provider",), facetable=True),
        Field("cert.subject", "pattern", "Words of the certificate's subject.", "cert.subject:example", regex=True,
              aliases=("ssl.cert.subject.cn",), facetable=True),
        Field("cert.issuer", "pattern", "Words of the certificate's issuer.", '''cert.issuer:"Let's Encrypt"''',
              aliases=("ssl.cert.issuer.cn",), regex=True, facetable=True),
        Field("cert.san", "hostname", "A name or address the certificate is for, or any name below it.",
              "cert.san:example.org", regex=True),
        Field("cert.sha256", "sha256", "The SHA-256 of the certificate, or the start of it.", "cert.sha256:9f86d081*",
              aliases=("ssl.cert.fingerprint",)),
        Field("cert.serial", "serial", "The serial number of the certificate in hex.", "cert.serial:04:a1:7c",
              aliases=("ssl.cert.serial",)),
        Field("cert.expires", "expiry", "When the certificate expires: 30d is in the next 30 days, <30d also earlier.",
              "cert.expires:30d"),
        Field("cert.expired", "flag", "Whether the certificate has expired.", "cert.expired:true", ("true", "false"),
              aliases=("ssl.cert.expired",)),
        Field("since", "moment", "Last seen at that time or later.", "since:7d", aliases=("after",)),
        Field("before", "moment", "Last seen before that time.", "before:2026-01-31"),
        Field("last_seen", "time", "Last seen on that day, in that month, or within a time.",
              "last_seen:2026-01-01..2026-01-31", sortable=True, facetable=True),
        Field("first_seen", "time", "First seen on that day, in that month, or within a time.", "first_seen:24h",
              sortable=True, facetable=True),
        Field("scan", "text", "A scan with this id looked at the endpoint.", "scan:weekly-17"),
        Field("contributor", "text", "This contributor looked at the endpoint.", "contributor:alice"),
        Field("vuln", "cve", "What runs there has this weakness, by its CVE id or the start of one.",
              "vuln:CVE-2024-6387", aliases=("cve",), facetable=True),
        Field("severity", "choice", "It has a weakness of this severity.", "severity:critical,high",
              ("critical", "high", "medium", "low", "none"), facetable=True),
        Field("cvss", "score", "It has a weakness with this CVSS score, 0 to 10.", "cvss:>8", facetable=True),
        Field("epss", "probability", "It has a weakness with this probability, 0 to 1, to be exploited within 30 days.",
              "epss:>0.5"),
        Field("kev", "flag", "It has a weakness that is known to be exploited (CISA KEV), or one that is not.",
              "kev:true", ("true", "false"), facetable=True),
        Field("has", "choice", "Something of this kind is known of it: a finding is a weakness of what runs there.",
              "has:finding", ("finding",)),
    )
}  # fmt: skip

NAMES: Final[dict[str, Field]] = {name: field for field in FIELDS.values() for name in (field.name, *field.aliases)}
"""Every name that a field goes by."""

FINDINGS: Final = ("vuln", "severity", "cvss", "epss", "kev", "has")
"""Fields about weaknesses; what several terms that are not negated ask has to hold for one and the same of them."""

# What other search engines, or habit, call it.
_ELSEWHERE: Final[dict[str, str]] = {
    "address": "ip",
    "host": "hostname",
    "cidr": "net",
    "network": "net",
    "subnet": "net",
    "as": "asn",
    "isp": "org",
    "provider": "cloud",
    "server": "product",
    "software": "product",
    "tag": "scan",
    "user": "contributor",
    "geo": "country",
    "from": "since",
    "until": "before",
    "fingerprint": "cert.sha256",
    "ssl": "cert.subject",
    "html": "title",
    "vulns": "vuln",
    "vulnerability": "vuln",
    "weakness": "vuln",
    "score": "cvss",
    "probability": "epss",
    "exploited": "kev",
    "finding": "has",
}


def suggest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The one of `known` that `word` was probably meant to be, or the empty string."""
    return next(iter(difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=cutoff)), "")


def suggest_field(word: str) -> str:
    """The name of the field that `word` was probably meant to be, or the empty string."""
    word = word.lower()[:80]
    if meant := _ELSEWHERE.get(word):
        return meant
    last = word.rpartition(".")[2]
    if nested := [name for name in FIELDS if "." in name and name.endswith(f".{last}")]:
        return nested[0]
    near = suggest(word, NAMES)
    return NAMES[near].name if near else ""


def describe(fields: Sequence[Field] = tuple(FIELDS.values())) -> str:
    """The table of fields in Markdown, for the docs."""
    rows = [f"| {_names(f)} | {f.description} | `{f.example}` |" for f in fields]
    return "\n".join(["| field | what it asks | example |", "| --- | --- | --- |", *rows])


def _names(field: Field) -> str:
    return ", ".join(f"`{name}`" for name in (field.name, *field.aliases))


# As the API tells of them --------------------------------------------------------------------------------------------


class FilterRecord(msgspec.Struct, frozen=True):
    """A field of the query language. `type` is how its values are read, `operators` what may stand around them."""

    name: str
    aliases: tuple[str, ...]
    type: Kind
    description: str
    example: str
    sortable: bool
    facetable: bool
    choices: tuple[str, ...]
    operators: tuple[str, ...]


class FilterList(msgspec.Struct, frozen=True):
    """Every field of the query language, in the order of the docs."""

    filters: tuple[FilterRecord, ...]


def filters() -> FilterList:
    """The table of fields as the API answers it."""
    return FilterList(
        tuple(
            FilterRecord(
                name=f.name,
                aliases=f.aliases,
                type=f.kind,
                description=f.description,
                example=f.example,
                sortable=f.sortable,
                facetable=f.facetable,
                choices=f.choices,
                operators=f.operators,
            )
            for f in FIELDS.values()
        )
    )
