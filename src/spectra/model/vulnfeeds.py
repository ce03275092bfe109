"""The feeds of weaknesses as the API answers with them: which sources tell of CVEs, how old what they told is, and how
much of the whole it covers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from spectra.model.envelope import Problem

NVD_API: Final = "nvd-api"
"""The kind of a source that is asked for what changed, a page at a time, instead of being fetched as a file."""
NVD_API_URL: Final = "https://services.nvd.nist.gov/rest/json/cves/2.0"
KNOWN_SOURCES: Final = {
    "nvd": NVD_API_URL,
    "kev": "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
    "epss": "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz",
}
"""Where feeds of these names are fetched from when nobody says where."""

MAX_EXAMPLES: Final = 20
"""Records that could not be read, of those that are told one by one."""


class Unread(msgspec.Struct, frozen=True, omit_defaults=True):
    """Records of the newest file that could not be read: how many, and the first of them."""

    count: int = 0
    examples: tuple[Problem, ...] = ()


class VulnFeedRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One feed of weaknesses.

    `kind` is `nvd`, `nvd-api`, `cve`, `overrides`, `osv`, `kev` or `epss`, empty before the first file was read.
    `version` and `built` are the feed's own words for itself; `sha256`, `size` and `records` are the file's.
    `updated` is when it was last taken in whole, `checked` the last attempt and `error` why that failed; `since` is up
    to when changes were asked for, `running` the workflow that is at it. `cves` counts what all feeds of its kind told
    of, `configured` of these with what is affected and `scored` with a CVSS score.
    """

    name: str
    kind: str
    source: str  # without what may be secret in a URL
    checked: datetime
    version: str = ""
    built: datetime | None = None
    sha256: str = ""
    size: int = 0
    records: int = 0
    unread: Unread = Unread()
    updated: datetime | None = None
    taken_by: str = ""
    error: str = ""
    since: datetime | None = None
    running: str = ""
    cves: int = 0
    configured: int = 0
    scored: int = 0


class VulnTotals(msgspec.Struct, frozen=True):
    """The corpus: CVEs that any source told of, and how many of them are rejected, say what is affected, and have a
    CVSS score, an EPSS score and an entry in CISA's catalogue. `products` that any of them names.
    """

    cves: int = 0
    rejected: int = 0
    configured: int = 0
    scored: int = 0
    epss: int = 0
    kev: int = 0
    products: int = 0


class VulnFeedPage(msgspec.Struct, frozen=True):
    """All feeds of weaknesses, by name."""

    feeds: tuple[VulnFeedRecord, ...]
    totals: VulnTotals


class VulnFeedSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to fetch a feed of weaknesses from. `kind` `nvd-api`: by asking there for pages of what changed."""

    url: str
    kind: Literal["", "nvd-api"] = ""


class VulnSync(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was begun: the workflow that takes the feed in, or back. `unchanged`: this very file was taken before."""

    name: str
    outcome: Literal["started", "running", "unchanged"]
    workflow_id: str = ""
