"""Hybrid retrieval: the neighbourhood of a target in the graph, its findings, and CVEs by words and by vectors."""

from __future__ import annotations

from datetime import datetime

from spectra.ai.retrieval.context import BUDGET, Context, Sources
from spectra.model.summaries import Target


def gather(
    sources: Sources,
    target: Target,
    question: str = "",
    *,
    now: datetime,
    budget: int = BUDGET,
    findings: bool = True,
    patience_s: float = 0.8,
) -> Context:
    """What is known of `target` at `now` (aware), of which as much as `budget` bytes hold, by priority.

    `findings`: whether weaknesses may be told of. CVEs that are like it are waited for `patience_s` at most, and left
    out where they take longer (`note` says so). Raises `NotFound` where nothing is known, `BadRequest` for what is no
    target.
    """
    raise NotImplementedError
