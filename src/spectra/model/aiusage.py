"""What language models took: as the API and the command line tell it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from spectra.model.ai import ProviderState

By = Literal["day", "account", "provider", "model", "purpose", "label", "outcome"]


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """The requests of one `group`: a day (`2026-01-31`), account, provider, model, purpose, class or outcome.

    `cost` is in the currency of the configured prices. `slowest_ms` and `median_ms` are those of answers of models.
    """

    group: str
    requests: int
    answered: int
    cached: int
    failed: int
    away: int
    """How many of them left this machine."""
    input: int
    output: int
    cost: float
    median_ms: int
    slowest_ms: int


class UsagePage(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked from `since` (inclusive) to `until` (exclusive), by group, the most tokens first."""

    since: datetime
    until: datetime
    by: By
    account: str
    """Of which account; empty: of all."""
    usage: list[UsageRow]


class ProviderPage(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with each provider, in the order in which they are asked."""

    providers: list[ProviderState]
    free_text: Literal["local", "detected"]
    """Whether what people type may leave this machine, without what the detector finds in it."""


class EgressRecord(msgspec.Struct, frozen=True, kw_only=True, rename={"label": "class"}):
    """A request that left this machine, from the provenance chain, where it is number `seq`. No content of it is kept:
    `sha256` (hex) and `bytes` are those of its body, `label` the class of what was in it, `host` where it went.
    """

    seq: int
    at: datetime
    account: str
    provider: str
    model: str
    label: Literal["CLOUD_DIRECT", "SANITIZED"]
    bytes: int
    purpose: str
    host: str
    sha256: str


class EgressPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Requests that left, newest first; `next_cursor` is opaque and left out on the last page."""

    left: list[EgressRecord]
    next_cursor: str = ""
