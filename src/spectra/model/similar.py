"""Weaknesses that are like a text or like another one, and what makes the vectors by which that is told."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from spectra.model.vulnrecords import VulnSummary

EmbedderKind = Literal["hashed", "learned", "service"]
"""`hashed` needs nothing, `learned` is learned from the stored texts, `service` is asked over HTTP."""

VectorState = Literal["none", "filling", "ready"]
"""Whether there are vectors: none yet, the first ones being made, or all that answers need."""


class EmbedderRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What makes vectors of `dims` dimensions. `place` is the host of a service, `texts` from how many it was learned.

    `done` of `total` texts have a vector; `indexed`: whether an index is searched, or every vector is looked at.
    """

    id: int
    kind: EmbedderKind
    model: str
    dims: int
    state: Literal["filling", "ready", "retired"]
    created: datetime
    ready: datetime | None = None
    place: str = ""
    texts: int = 0
    total: int = 0
    done: int = 0
    indexed: bool = False


class VectorStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """The embedder that answers, the one that is being filled to take its place, and how many texts are `behind`."""

    vectors: VectorState
    behind: int
    ready: EmbedderRecord | None = None
    filling: EmbedderRecord | None = None


class SimilarVuln(VulnSummary, frozen=True, omit_defaults=True, kw_only=True):
    """A CVE that is like what was asked for, and why: its place (1 is best) by words and by vectors, where it has one.

    `cosine` (-1..1) is how near the vectors are; `score` is the reciprocal rank fusion of both places, and means
    nothing but the order.
    """

    score: float
    text_rank: int | None = None
    vector_rank: int | None = None
    cosine: float | None = None


class SimilarPage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The CVEs that are most alike, the best first. `words` are the ones that were looked for in texts.

    `vectors` says whether vectors took part, `embedder` whose; `note` why not where they should have.
    """

    similar: tuple[SimilarVuln, ...]
    vectors: VectorState
    embedder: str = ""
    cve: str = ""
    words: tuple[str, ...] = ()
    note: str = ""


class Vectorizing(msgspec.Struct, frozen=True):
    """The workflow that brings vectors up to date; `started` is False where it was running already."""

    workflow_id: str
    started: bool
    behind: int
