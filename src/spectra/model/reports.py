"""Reports on a target: what was found, as tables, and what it amounts to, in sections each sentence of which is cited.

A report is a document in the blob store that never changes, and a record that says where it stands. The reports of one
target by one pattern are numbered: each is a version. Ids of records are those of `model/summaries.py`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from spectra.model.summaries import MAX_QUESTION, MAX_TARGET, CitedRecord, TargetKind

FORMAT: Final = "spectra-report/1"
REPORT_ID: Final = r"^report-[0-9a-f]{20}$"
PATTERN_NAME: Final = r"^[a-z][a-z0-9-]{0,40}$"
MAX_TEXT: Final = 4000
"""Characters of one statement."""
MAX_STATEMENTS: Final = 50
"""Statements of one section."""
MAX_SECTIONS: Final = 12
MAX_CITES: Final = 40

Format = Literal["md", "html", "pdf", "json"]
FORMATS: Final[tuple[Format, ...]] = ("md", "html", "pdf", "json")
State = Literal["waiting", "running", "done", "incomplete", "finished", "failed"]
STATES: Final[tuple[State, ...]] = ("waiting", "running", "done", "incomplete", "finished", "failed")
Author = Literal["", "model", "rules", "person"]
Weight = Literal["", "critical", "high", "medium", "low", "info"]
WEIGHTS: Final[tuple[Weight, ...]] = ("critical", "high", "medium", "low", "info")
"""How much a statement weighs, the worst first."""
Form = Literal["text", "list", "steps", "risks", "controls"]
"""How a section is shown: paragraphs, points, numbered steps, things to mind by weight, or controls with a verdict."""
Table = Literal["figures", "hosts", "services", "web", "names", "certificates", "findings", "changes", "scans"]
TABLES: Final[tuple[Table, ...]] = (
    "figures", "hosts", "services", "web", "names", "certificates", "findings", "changes", "scans",
)  # fmt: skip
Verdict = Literal["", "met", "not met", "unknown"]


class Statement(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that a section says, and the ids of the records that it rests on."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    cites: Annotated[tuple[str, ...], Meta(max_length=MAX_CITES)] = ()
    title: Annotated[str, Meta(max_length=300)] = ""
    weight: Weight = ""
    verdict: Verdict = ""


class Section(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A part of a report in words, and who wrote it."""

    id: str
    title: str
    form: Form
    by: Literal["model", "rules", "person"]
    statements: tuple[Statement, ...] = ()


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is of what. `findings` counts by severity, worst first, and `kev` those known to be exploited.

    `hosts` are those that the report tells of; `hosts_total` matched, and `exact` says whether they were counted.
    """

    hosts: int
    hosts_total: int
    exact: bool
    up: int
    endpoints: int
    names: int
    certificates: int
    expired: int
    findings: dict[str, int]
    findings_total: int
    kev: int
    changes: int
    changed: dict[str, int] = {}


class HostLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A host. `worst` is the highest severity among its `findings` weaknesses that nobody settled."""

    ip: str
    names: tuple[str, ...] = ()
    status: Literal["up", "down"]
    os: str = ""
    place: str = ""
    network: str = ""
    ports: int = 0
    findings: int = 0
    worst: str = ""
    last_seen: datetime


class ServiceLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An open endpoint and what runs there."""

    ip: str
    port: int
    protocol: str
    service: str = ""
    product: str = ""
    version: str = ""
    tls: bool = False
    title: str = ""
    last_seen: datetime
    sole: str = ""

    @property
    def record(self) -> str:
        """The id of its record."""
        return f"endpoint:{self.ip}/{self.protocol}/{self.port}"


class NameLine(msgspec.Struct, frozen=True):
    """A hostname and its addresses."""

    name: str
    addresses: tuple[str, ...]


class CertificateLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A certificate, and the endpoints that show it."""

    sha256: str
    subject: str = ""
    issuer: str = ""
    not_after: datetime | None = None
    key: str = ""
    at: tuple[str, ...] = ()
    expired: bool = False


class FindingLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A weakness at an endpoint; `level` is how sure it is, `priority` (0..100) how urgent."""

    id: str
    ip: str
    port: int
    protocol: str
    cve: str
    title: str = ""
    severity: str = ""
    cvss: float | None = None
    epss: float | None = None
    kev: date | None = None
    priority: float = 0.0
    product: str = ""
    version: str = ""
    level: str = ""
    patched: str = ""
    opened: datetime
    reason: str = ""


class ChangeLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something that is not what it was. `kind` is a word of `model.diffs`, or `finding_new`, `finding_closed`."""

    at: datetime
    kind: str
    ip: str
    where: str = ""
    what: str = ""


class ScanLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An observation that saw hosts of the report."""

    observation_id: str
    scan_id: str
    scan_type: str
    contributor: str
    seen_at: datetime
    hosts: int
    tool: str = ""


class Tables(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was found, each list bounded; `more` says how many of a table had no room."""

    figures: Figures
    hosts: tuple[HostLine, ...] = ()
    services: tuple[ServiceLine, ...] = ()
    names: tuple[NameLine, ...] = ()
    certificates: tuple[CertificateLine, ...] = ()
    findings: tuple[FindingLine, ...] = ()
    changes: tuple[ChangeLine, ...] = ()
    scans: tuple[ScanLine, ...] = ()
    more: dict[str, int] = {}


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One time that a model was asked. `reasons` say what did not hold; none: the answer holds."""

    number: int
    at: datetime
    provider: str = ""
    model: str = ""
    label: str = ""
    reasons: tuple[str, ...] = ()
    answer: str = ""
    """What it said, up to 16,000 characters; only where one report is asked for."""


class ReportDocument(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A report, whole. `tables_shown` in that order; `records` are those that statements cite, by title.

    `by`: a `model` wrote the sections, each sentence of which cites facts it was shown, or the `rules` did (`why` says
    why no model), or a `person` finished them.
    """

    format: Literal["spectra-report/1"]
    id: str
    version: int
    kind: TargetKind
    target: str
    question: str = ""
    pattern: str
    title: str
    purpose: str = ""
    made: datetime
    account: str = ""
    by: Literal["model", "rules", "person"]
    complete: bool = True
    why: str = ""
    provider: str = ""
    model: str = ""
    label: str = ""
    attempts: int = 0
    sections: tuple[Section, ...]
    shown: tuple[Table, ...]
    tables: Tables
    records: tuple[CitedRecord, ...] = ()
    notes: tuple[str, ...] = ()


class ReportRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to report on: an address, a network, a name or a query. `kind` where it is to be read as one of them only.

    `pattern` empty: the one that suits the newest scan. `rules`: ask no model.
    """

    target: Annotated[str, Meta(min_length=1, max_length=MAX_TARGET)]
    kind: TargetKind | Literal[""] = ""
    pattern: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9-]{0,40})?$")] = ""
    question: Annotated[str, Meta(max_length=MAX_QUESTION)] = ""
    rules: bool = False


class ReportRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A report as it stands. `state`: `waiting`, `running`, `done`, `incomplete` (a person has to look: `why`),
    `finished` (a person completed it: `followed_by`) or `failed` (`why`; nothing could be told).

    `sha256` and `size` are of the document, which `format=json` gives byte by byte. `attempts_made` in full with one
    report only.
    """

    id: str
    kind: TargetKind
    target: str
    pattern: str
    version: int
    title: str = ""
    question: str = ""
    account: str
    state: State
    by: Author = ""
    why: str = ""
    provider: str = ""
    model: str = ""
    attempts: int = 0
    created: datetime
    changed: datetime
    sha256: str = ""
    size: int = 0
    hosts: int = 0
    scans: int = 0
    follows: str = ""
    followed_by: str = ""


class ReportDetail(ReportRecord, frozen=True, omit_defaults=True, kw_only=True):
    """A report with its hosts and scans, the first 1,000 of each, and every attempt at it."""

    ips: tuple[str, ...] = ()
    observations: tuple[str, ...] = ()
    tries: tuple[Attempt, ...] = ()


class ReportPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Reports, newest first; `next_cursor` is empty on the last page."""

    reports: tuple[ReportRecord, ...]
    next_cursor: str = ""


class Fact(msgspec.Struct, frozen=True):
    """A fact as a model was shown it: what it is cited by, the id of its record, a title, and the line."""

    ref: str
    record: str
    title: str
    text: str


class ReviewDetail(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All that is needed to finish a report by hand: what there is of it, the facts, what was asked, how the sections
    have to look, and every answer with what did not hold about it.
    """

    report: ReportDetail
    document: ReportDocument
    facts: tuple[Fact, ...]
    instructions: str
    schema: dict[str, Any]


class Finish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sections of a report as a person completes them: those named take the place of what stands there.

    Statements may cite references of facts (`F3`) or ids of records, only such that the report was made of.
    """

    sections: Annotated[dict[str, Annotated[tuple[Statement, ...], Meta(max_length=MAX_STATEMENTS)]],
                        Meta(max_length=MAX_SECTIONS)]  # fmt: skip
    note: Annotated[str, Meta(max_length=1000)] = ""


class PatternRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A pattern that reports are made by. `built_in`, or a user's own."""

    name: str
    title: str
    purpose: str
    scans: tuple[str, ...] = ()
    sections: tuple[str, ...]
    shown: tuple[Table, ...]
    built_in: bool
    examples: int = 0


class PatternPage(msgspec.Struct, frozen=True):
    """Every pattern there is, by name."""

    patterns: tuple[PatternRecord, ...]


class PatternFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The files of a pattern's folder by their paths in it (`system.md`, `examples/good.json`)."""

    name: Annotated[str, Meta(pattern=PATTERN_NAME)]
    files: Annotated[dict[str, Annotated[str, Meta(max_length=65536)]], Meta(max_length=64)]


class PatternCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether a pattern holds: `problems` name file and line, `examples` is how many of its tests were run."""

    ok: bool
    examples: int = 0
    problems: tuple[str, ...] = ()
