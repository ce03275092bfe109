"""Hybrid retrieval: the neighbourhood of a target in the graph, its findings, and CVEs by words and by vectors."""

from __future__ import annotations

from datetime import datetime

from spectra.ai.retrieval.context import BUDGET, Context, Nearest
from spectra.model.lifetimes import Lifetimes
from spectra.model.summaries import Target
from spectra.store.database import Database


def gather(
    database: Database,
    nearest: Nearest | None,
    target: Target,
    question: str = "",
    *,
    now: datetime,
    budget: int = BUDGET,
    lifetimes: Lifetimes = Lifetimes(),  # noqa: B008 - immutable
    findings: bool = True,
    patience_s: float = 0.8,
) -> Context:
    """What is known of `target` at `now` (aware), of which as much as `budget` bytes hold, by priority.

    `findings`: whether weaknesses may be told of. `nearest` is waited for `patience_s` at most, and left out where it
    takes longer (`note` says so). Raises `NotFound` where nothing is known, `BadRequest` for what is no target.
    """
    raise NotImplementedError
