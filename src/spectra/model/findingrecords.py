"""What the store answers about findings, and the API and the command line print. Times are UTC.

A finding is an endpoint and a CVE that concerns what runs there; its id is `IP~PORT~PROTOCOL~CVE`. When it is open, new
or closed, and since when, is defined in `model/findinglife.py`. What is said of the CVE itself (score, EPSS, KEV) is of
now, also where a past moment is asked for.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import date, datetime
from typing import Final, Literal, NamedTuple

import msgspec

from spectra.errors import BadRequest
from spectra.model.findinglife import State, Why
from spectra.model.findings import LIKELY, SURE, Patched
from spectra.model.vulns import CVE_ID, Kev, Metric, Reference, Severity, Ssvc, Status

Level = Literal["confirmed", "likely", "possible"]
TriageStatus = Literal["accepted", "false_positive", "not_affected", "fixed", "investigating", "affected"]
LEVELS: Final[tuple[Level, ...]] = ("confirmed", "likely", "possible")
SETTLED: Final[tuple[TriageStatus, ...]] = ("accepted", "false_positive", "not_affected", "fixed")
"""Decisions by which nothing is left to do: lists leave such findings out unless they are asked for."""
CUT: Final = 200
"""Characters of a CVE's text that a list gives."""
MAX_OF_HOST: Final = 1000
"""Findings that a host carries; of more, the most urgent."""

_PROTOCOLS: Final = ("tcp", "udp", "sctp")
_PORT: Final = re.compile(r"\d{1,5}", re.ASCII)


class FindingKey(NamedTuple):
    """What a finding is known by. `protocol` is `tcp`, `udp` or `sctp`."""

    ip: str
    port: int
    protocol: str
    cve: str

    def __str__(self) -> str:
        return f"{self.ip}~{self.port}~{self.protocol}~{self.cve}"


def read_id(text: str) -> FindingKey:
    """The key that the id `text` stands for; raises `BadRequest` naming `id`."""
    ip, port, protocol, cve, *rest = [*text.strip().split("~"), "", "", ""]
    address, protocol, cve = read_address(ip), protocol.lower(), cve.upper()
    whole = address and _PORT.fullmatch(port) and protocol in _PROTOCOLS and CVE_ID.fullmatch(cve)
    if whole and int(port) <= 65535 and len(rest) == 3:
        return FindingKey(address, int(port), protocol, cve)
    raise BadRequest(
        f"{text[:100]!r} is not the id of a finding.", field="id", hint="Write 192.0.2.7~22~tcp~CVE-2024-6387."
    )


def read_address(text: str) -> str:
    """`text` in the canonical form of an address that every machine knows; empty if it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return "" if "%" in text else str(getattr(address, "ipv4_mapped", None) or address)


def level(confidence: float) -> Level:
    """How sure a confidence (0..1) is, in a word."""
    return "confirmed" if confidence >= SURE else "likely" if confidence >= LIKELY else "possible"


class PriorityRecord(msgspec.Struct, frozen=True):
    """How urgent a finding is: `score` between 0 and 100, its level, and what it comes from, in words."""

    score: float
    level: str
    reasons: tuple[str, ...] = ()


class TriageRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was decided about a CVE: for an endpoint, a host (no port) or everywhere (no ip), perhaps for a `cpe` only.

    `by` is the account that said so, `origin` the document it was read from. Holds until `until`, for ever without.
    """

    id: str
    cve: str
    status: TriageStatus
    at: datetime
    by: str
    ip: str = ""
    port: int | None = None
    protocol: str = ""
    cpe: str = ""
    justification: str = ""
    note: str = ""
    origin: str = ""
    until: datetime | None = None


class FindingRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One endpoint and one CVE that concerns it.

    `title` and `description` are cut to 200 characters. `opened`, `known`, `closed` and `closed_why` are of the newest
    interval. `cpe` is the software's name that matched, `criterion`, `range` and `source` say what of the CVE it met,
    `requires` what has to be beside it and was not seen, `reason` all of that in words. `level` is how sure it is;
    `patched` is `possibly` where a distribution may have repaired it. `triage` is the decision that holds.
    """

    id: str
    ip: str
    port: int
    protocol: str
    cve: str
    title: str = ""
    description: str = ""
    status: Status = ""
    severity: Severity = ""
    cvss: float | None = None
    cvss_version: str = ""
    epss: float | None = None
    epss_percentile: float | None = None
    kev: date | None = None
    ransomware: bool = False
    state: State
    opened: datetime
    known: datetime
    closed: datetime | None = None
    closed_why: Why = ""
    confidence: float
    level: Level
    patched: Patched = ""
    cpe: str = ""
    criterion: str = ""
    range: str = ""
    source: str = ""
    requires: tuple[str, ...] = ()
    reason: str = ""
    priority: PriorityRecord
    triage: TriageRecord | None = None
    service: str = ""
    product: str = ""
    version: str = ""
    hostnames: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether the decision that holds leaves nothing to do."""
        return self.triage is not None and self.triage.status in SETTLED


class IntervalRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One stretch of time in which the finding was there, and what ran there at its end."""

    opened: datetime
    known: datetime
    closed: datetime | None = None
    closed_why: Why = ""
    service: str = ""
    product: str = ""
    version: str = ""


class FindingDetail(FindingRecord, frozen=True, omit_defaults=True, kw_only=True):
    """A finding with its past, oldest interval first, and all that is known of the CVE; texts are whole."""

    history: tuple[IntervalRecord, ...] = ()
    published: datetime | None = None
    modified: datetime | None = None
    metrics: tuple[Metric, ...] = ()
    weaknesses: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    aliases: tuple[str, ...] = ()
    ssvc: Ssvc | None = None
    exploited: Kev | None = None


class FindingPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of findings. It may hold fewer than asked for, even none: the list ends where `next_cursor` is empty."""

    findings: tuple[FindingRecord, ...]
    next_cursor: str = ""


class FindingSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How many findings are open, without those that triage settled (`settled`).

    `severity` has every severity, "" where no source gives one. `new` became known or began within 7 days, `kev` are
    in CISA's catalogue, `possibly_patched` may have been repaired by a distribution. `hosts` have at least one. With
    `exact` False `new` is at least so many; with `hosts_exact` False `hosts` is an estimate.
    """

    open: int
    severity: dict[str, int]
    kev: int
    ransomware: int
    new: int
    possibly_patched: int
    settled: int
    hosts: int
    exact: bool
    hosts_exact: bool


class FindingBrief(msgspec.Struct, frozen=True, omit_defaults=True):
    """A finding of a known endpoint, in a list of differences."""

    cve: str
    severity: Severity = ""


class FindingChange(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A finding that came (`finding_new`) or went (`finding_closed`) because of what was told of its CVE, and when; the
    endpoint itself is what it was.
    """

    kind: Literal["finding_new", "finding_closed"]
    ip: str
    port: int
    protocol: str
    cve: str
    severity: Severity = ""
    at: datetime
