"""A summary in three parts, each sentence of which cites the records it rests on: the answer of `POST /v0/ai/summary`.

Ids of records: `host:192.0.2.1`, `endpoint:192.0.2.1/tcp/443`, `finding:192.0.2.1~443~tcp~CVE-2024-6387`,
`cve:CVE-2024-6387`, `certificate:<sha256>`, `name:www.example.org`, `query:<the query>`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from spectra.model.explanations import Level

TargetKind = Literal["ip", "host", "query"]
MAX_TARGET = 1000
"""Characters of a target."""
MAX_QUESTION = 1000
"""Characters of a question."""


class Target(msgspec.Struct, frozen=True):
    """What is told of: the host at an address, those that go by a name, or what a query finds."""

    kind: TargetKind
    value: str

    @property
    def record(self) -> str:
        """The id of the record that it is: `host:192.0.2.1`, `name:www.example.org`, `query:port:22`."""
        return f"{_RECORD[self.kind]}:{self.value}"


_RECORD = {"ip": "host", "host": "name", "query": "query"}


class SummaryRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to summarise, and perhaps what to find out about it. `rules`: ask no model."""

    kind: TargetKind
    target: Annotated[str, Meta(min_length=1, max_length=MAX_TARGET)]
    question: Annotated[str, Meta(max_length=MAX_QUESTION)] = ""
    rules: bool = False


class Claim(msgspec.Struct, frozen=True):
    """A sentence, and the ids of the records that it rests on: one at least."""

    says: str
    cites: tuple[str, ...]


class RiskClaim(Claim, frozen=True):
    """One thing to mind, and how much."""

    level: Level


class CitedRecord(msgspec.Struct, frozen=True):
    """A record that a summary cites, by a title that a person knows it by."""

    id: str
    title: str


class AiSummary(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A target in three parts: summary, risks (the worst first), next steps.

    `by` says what drew the conclusions: a `model`, whose every claim cites records that it was shown, or `rules` over
    the graph; then `why` says why no model did, and `reason` in a word. `records` are those that claims cite. `label`
    is the class under which the facts went to `provider`, `attempts` how many answers were looked at. `cached`: no
    model was asked, the facts being the same as when it was made (`at`). Of what is known, `facts` were told and
    `left_out` had no room; `note` says what could not be looked up.
    """

    kind: TargetKind
    target: str
    question: str = ""
    at: datetime
    summary: tuple[Claim, ...]
    risks: tuple[RiskClaim, ...]
    next_steps: tuple[Claim, ...]
    records: tuple[CitedRecord, ...]
    by: Literal["model", "rules"]
    why: str = ""
    reason: str = ""
    provider: str = ""
    model: str = ""
    label: str = ""
    attempts: int = 0
    cached: bool = False
    facts: int = 0
    left_out: int = 0
    note: str = ""
