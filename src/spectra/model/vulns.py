"""Weaknesses as their sources tell them: one frozen record a CVE and source, whatever format it came in.

A source is a feed (`nvd`, `cve` ...). What several of them say of one CVE is put together by `intel.vulns.merge`; what
of it concerns one product is a `Rule` (`intel.correlate.rules`).
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final, Literal

import msgspec

CVE_ID: Final = re.compile(r"CVE-(\d{4})-(\d{4,9})", re.ASCII)
"""A CVE id in upper case; group 1 is its year, group 2 its number."""

Status = Literal["", "awaiting", "deferred", "disputed", "rejected"]
"""What has become of a CVE: "" is published and looked at. A rejected one is no weakness, a disputed one may not be."""

Severity = Literal["", "none", "low", "medium", "high", "critical"]

SOURCES: Final = ("nvd", "overrides", "cve", "osv")
"""Sources of records, the one that is believed first first: the NVD's configurations, NVD-style configurations by
others (Anchore's overrides), the CNA's and CISA's `affected`, OSV."""


class Metric(msgspec.Struct, frozen=True, omit_defaults=True):
    """One CVSS score. `version` is `2.0`, `3.0`, `3.1` or `4.0`; `by` who gave it; `primary` as the NVD says."""

    version: str
    score: float
    severity: Severity
    vector: str = ""
    by: str = ""
    primary: bool = True


class Criterion(msgspec.Struct, frozen=True, omit_defaults=True):
    """Software that is meant: a CPE 2.3 name, and bounds of its version where the name says ANY; "" is no bound.

    `vulnerable` False: only where the weakness needs it beside (running on, running with). `scheme` is how versions
    compare where the source says so (`semver`, `rpm`, `date` ...).
    """

    cpe: str
    vulnerable: bool = True
    at_least: str = ""  # versionStartIncluding
    above: str = ""  # versionStartExcluding
    at_most: str = ""  # versionEndIncluding
    below: str = ""  # versionEndExcluding
    scheme: str = ""


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """A configuration or a part of one: whether any (`OR`) or all (`AND`) of its criteria and children hold, or not."""

    operator: Literal["OR", "AND"] = "OR"
    negate: bool = False
    criteria: tuple[Criterion, ...] = ()
    children: tuple[Node, ...] = ()


class Ssvc(msgspec.Struct, frozen=True, omit_defaults=True):
    """CISA's decision points: `exploitation` is `none`, `poc` or `active`, `automatable` `yes` or `no`, `impact`
    `partial` or `total`."""

    exploitation: str = ""
    automatable: str = ""
    impact: str = ""


class Reference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page about it, with its source's words for what is there (`Exploit`, `Patch`, `Vendor Advisory`)."""

    url: str
    tags: tuple[str, ...] = ()


class VulnRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that one source says of one CVE. Texts are English and bounded; times UTC; any of `configurations` is enough.

    `aliases` are ids of the same weakness elsewhere (GHSA ...), `weaknesses` CWE ids.
    """

    cve: str
    source: str
    status: Status = ""
    title: str = ""
    description: str = ""
    published: datetime | None = None
    modified: datetime | None = None
    metrics: tuple[Metric, ...] = ()
    weaknesses: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    configurations: tuple[Node, ...] = ()
    ssvc: Ssvc | None = None
    aliases: tuple[str, ...] = ()


class Vuln(msgspec.Struct, frozen=True, omit_defaults=True):
    """What all sources together say of one CVE: of each property what the most believed source says that has it.

    `configured` is the source that `configurations` are of, "" where no source says what is affected. `metrics` has one
    for each version of CVSS, the newest version first; `references` and `aliases` are those of all sources.
    """

    cve: str
    status: Status = ""
    title: str = ""
    description: str = ""
    published: datetime | None = None
    modified: datetime | None = None
    metrics: tuple[Metric, ...] = ()
    weaknesses: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    configured: str = ""
    configurations: tuple[Node, ...] = ()
    ssvc: Ssvc | None = None
    aliases: tuple[str, ...] = ()

    @property
    def metric(self) -> Metric | None:
        """The score that counts: that of the newest version of CVSS."""
        return self.metrics[0] if self.metrics else None


class Kev(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry of CISA's catalogue of known exploited vulnerabilities. `ransomware`: known to be used for that."""

    cve: str
    added: date
    due: date | None = None
    ransomware: bool = False
    vendor: str = ""
    product: str = ""
    name: str = ""
    action: str = ""
    notes: str = ""


class Epss(msgspec.Struct, frozen=True):
    """FIRST's estimate: the probability of exploitation within 30 days, and the part of all CVEs that score no higher.

    Both are between 0 and 1; `percentile` is None where the file has none.
    """

    cve: str
    score: float
    percentile: float | None = None


class Product(msgspec.Struct, frozen=True, order=True):
    """A product by the attributes of its CPE names: `part` is `a`, `o` or `h`; both words as a 2.3 name writes them."""

    part: str
    vendor: str
    product: str

    def __str__(self) -> str:
        return f"{self.part}:{self.vendor}:{self.product}"


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one CVE says of one product: its configurations, cut down to those in which that product is vulnerable.

    Criteria about other products remain where they are needed beside it; long lists of those are cut.
    """

    cve: str
    source: str
    product: Product
    configurations: tuple[Node, ...]
    status: Status = ""
