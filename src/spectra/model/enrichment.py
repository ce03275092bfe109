"""What the enrichment agent was asked for, looked up, and was kept from doing."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from spectra.model.insights import By, InsightRecord, Source


class EnrichAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to look things up about: a CVE (`CVE-2024-6387`), or the most urgent findings of a host (its address)."""

    kind: Literal["ip", "cve"]
    value: Annotated[str, Meta(min_length=1, max_length=60)]


class Failed(msgspec.Struct, frozen=True):
    """A page that did not come, and why: `reason` is a stable word."""

    url: str
    reason: str
    says: str


class RefusedCall(msgspec.Struct, frozen=True):
    """Something a model asked for that it may not have. `reason`: `unknown_tool`, `bad_arguments`, `unknown_cve`,
    `unknown_url` or `too_many`.
    """

    tool: str
    reason: str


class Enrichment(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What came of it. `insights` are kept; `sources` are the pages that were fetched, `failed` those that did not
    come; `refused`: what a model asked for in vain, which happens when a page tells it to. `by` is `model` where one
    added its words; `why` tells why none did.
    """

    kind: Literal["ip", "cve"]
    value: str
    insights: tuple[InsightRecord, ...] = ()
    sources: tuple[Source, ...] = ()
    failed: tuple[Failed, ...] = ()
    refused: tuple[RefusedCall, ...] = ()
    by: By = "rules"
    why: str = ""
