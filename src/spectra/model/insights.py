"""Insights: what an agent concluded from alerts, logs, traffic, history or look-ups, as it is signed, stored and shown.

An insight is made by a detector of stated features and thresholds, or brought by the enrichment agent. What a language
model adds is a note beside it. Numbers are text where they are signed: canonical JSON has one spelling for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from spectra.model.ai import Label
from spectra.model.envelope import Sha256Hex, Word, canonical, sha256_hex

INSIGHTS_TYPE: Final = "application/vnd.spectra.insights+json"
"""The DSSE payload type of a statement of insights."""
CONTRIBUTOR: Final = "spectra-agents"
"""Whom the keys belong to by which coordinators sign statements."""

Agent = Literal["threat-analyst", "dns-guard", "cve-triage", "network-anomaly", "config-advisor", "enrichment"]
AGENTS: Final[tuple[Agent, ...]] = get_args(Agent)
Severity = Literal["critical", "high", "medium", "low", "info"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""The worst first."""
By = Literal["rules", "model"]
LabelName = Literal["LOCAL_ONLY", "SANITIZED", "CLOUD_DIRECT"]
State = Literal["open", "resolved"]
Resolution = Literal["fixed", "false_positive", "accepted"]
RESOLUTIONS: Final[tuple[Resolution, ...]] = get_args(Resolution)

MAX_INSIGHTS: Final = 500
"""Most insights of one statement."""
MAX_EVIDENCE: Final = 40
MAX_FEATURES: Final = 40
MAX_SUBJECTS: Final = 64
MAX_SOURCES: Final = 16
MAX_TITLE: Final = 200
MAX_WHAT: Final = 2000
MAX_SAYS: Final = 400
MAX_NOTE: Final = 2000

_RECORD: Final = r"(host|endpoint|finding|cve|certificate|page|name|network|control|account|node|feed|chain|input):\S.*"
RecordId = Annotated[str, Meta(max_length=300, pattern=rf"^{_RECORD}\Z")]
"""What a claim points at: `host:192.0.2.1`, `endpoint:192.0.2.1/tcp/443`, `finding:<id>`, `cve:CVE-2024-6387`,
`certificate:<sha256>`, `page:<sha256>`, `name:www.example.org`, `network:192.0.2.0/24`, `control:anssi/24`,
`input:<sha256>` (what the agent was given).
"""


class InsightEvidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that an insight rests on: a record, or line `line` (from 1; 0: none) of what the agent was given."""

    says: Annotated[str, Meta(max_length=MAX_SAYS)]
    record: Annotated[str, Meta(max_length=300, pattern=rf"^({_RECORD})?\Z")] = ""
    line: Annotated[int, Meta(ge=0, le=2**40)] = 0


Evidence = InsightEvidence
"""Its name among agents; machines bring evidence of another kind."""


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number that a detector looked at, and the threshold it was held against (empty: it only tells)."""

    name: Word
    value: Word
    threshold: Word = ""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page that was fetched: its bytes are the blob of this SHA-256."""

    url: Annotated[str, Meta(max_length=2000)]
    sha256: Sha256Hex
    fetched_at: datetime
    size: Annotated[int, Meta(ge=0, le=2**40)] = 0
    media_type: Word = ""


class Insight(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an agent concluded. Build it with `insight()`.

    `id` is the SHA-256 of agent, kind, first subject and `key`: the same conclusion about the same thing has the same
    id whenever it is drawn. `score` is 0 to 100 by the detector's own formula. `at`: the newest moment that it tells
    of. `by` says who drew it; `note` is in a model's words, of provider `note_by`, and changes nothing else.
    """

    id: Sha256Hex
    agent: Agent
    kind: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,59}\Z")]
    severity: Severity
    title: Annotated[str, Meta(min_length=1, max_length=MAX_TITLE)]
    what: Annotated[str, Meta(max_length=MAX_WHAT)]
    score: Annotated[int, Meta(ge=0, le=100)]
    label: LabelName
    at: datetime
    subjects: Annotated[tuple[RecordId, ...], Meta(min_length=1, max_length=MAX_SUBJECTS)]
    evidence: Annotated[tuple[Evidence, ...], Meta(max_length=MAX_EVIDENCE)] = ()
    features: Annotated[tuple[Feature, ...], Meta(max_length=MAX_FEATURES)] = ()
    sources: Annotated[tuple[Source, ...], Meta(max_length=MAX_SOURCES)] = ()
    advice: Annotated[str, Meta(max_length=MAX_WHAT)] = ""
    key: Annotated[str, Meta(max_length=300)] = ""
    by: By = "rules"
    note: Annotated[str, Meta(max_length=MAX_NOTE)] = ""
    note_by: Word = ""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all of it."""
        return sha256_hex(canonical(self))


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is signed: the insights of one run. `read` is the SHA-256 of what the agent was given, empty for nothing."""

    version: Literal[1]
    agent: Agent
    issued: datetime
    read: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")]
    insights: Annotated[tuple[Insight, ...], Meta(max_length=MAX_INSIGHTS)]


class InsightRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An insight as it is stored. `statement` is the SHA-256 of the newest that has it; `times`: how many have had it.

    Resolved ones stay so when they are seen again, but for those that were `fixed`: these open again.
    """

    insight: Insight
    state: State
    statement: str
    first_seen: datetime
    last_seen: datetime
    times: int = 1
    resolution: Resolution | None = None
    resolved: datetime | None = None
    resolved_by: str = ""
    comment: str = ""


class InsightResolving(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v0/insights/{id}/resolve`: why nothing is left to do, and a line about it."""

    resolution: Resolution
    comment: Annotated[str, Meta(max_length=1000)] = ""


class InsightPage(msgspec.Struct, frozen=True):
    """Insights, the worst first, of equal severity the newest; `next_cursor` is empty on the last page."""

    insights: tuple[InsightRecord, ...]
    next_cursor: str = ""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a statement: which of its insights are new, were seen before, and opened again.

    `duplicate`: the very same statement had been kept before. An empty `statement`: there was nothing to keep.
    """

    statement: str
    insights: tuple[InsightRecord, ...]
    new: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    reopened: tuple[str, ...] = ()
    duplicate: bool = False


def insight_id(agent: str, kind: str, subject: str, key: str = "") -> str:
    """The id of an insight."""
    return sha256_hex(canonical([agent, kind, subject, key]))


def insight(
    agent: Agent,
    kind: str,
    *,
    severity: Severity,
    title: str,
    what: str,
    subjects: Sequence[str],
    at: datetime,
    score: float = 0,
    label: Label = Label.LOCAL_ONLY,
    evidence: Iterable[Evidence] = (),
    features: Iterable[Feature] = (),
    sources: Iterable[Source] = (),
    advice: str = "",
    key: str = "",
    by: By = "rules",
) -> Insight:
    """An insight that the gate takes: texts are cut and control characters in them replaced, the score is rounded.

    `subjects` are record ids, the first is what it is about; `key` tells insights about one subject apart.
    """
    told = tuple(dict.fromkeys(line(one, 300) for one in subjects))[:MAX_SUBJECTS]
    key = line(key, 300)
    return Insight(
        id=insight_id(agent, kind, told[0], key),
        agent=agent,
        kind=kind,
        severity=severity,
        title=line(title, MAX_TITLE),
        what=line(what, MAX_WHAT),
        score=min(100, max(0, round(score))),
        label=label_name(label),
        at=at.astimezone(UTC),
        subjects=told,
        evidence=tuple(evidence)[:MAX_EVIDENCE],
        features=tuple(features)[:MAX_FEATURES],
        sources=tuple(sources)[:MAX_SOURCES],
        advice=line(advice, MAX_WHAT),
        key=key,
        by=by,
    )


def evidence(says: str, record: str = "", at_line: int = 0) -> Evidence:
    """One thing that an insight rests on, its text cut and plain."""
    return Evidence(line(says, MAX_SAYS), line(record, 300), at_line)


def feature(name: str, value: float | str, threshold: float | str = "") -> Feature:
    """A number that was looked at, to four significant digits, and its threshold."""
    return Feature(name, number(value), number(threshold))


def number(value: float | str) -> str:
    """A number in its one spelling: whole ones as such, others to four significant digits; text cut and plain."""
    if isinstance(value, str):
        return line(value, 200)
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


def label_name(label: Label) -> LabelName:
    """The name of a label."""
    names: dict[Label, LabelName] = {
        Label.CLOUD_DIRECT: "CLOUD_DIRECT",
        Label.SANITIZED: "SANITIZED",
        Label.LOCAL_ONLY: "LOCAL_ONLY",
    }
    return names[label]


def line(text: str, longest: int) -> str:
    """`text` on one line: what is no printable character becomes a space or `?`; cut with an ellipsis."""
    if len(text) <= longest and text.isprintable():
        return text
    plain = "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text[: longest * 2])
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"
