"""Summaries of a target: a model's where it answers in time and every claim of it holds, else the rules'."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal, Protocol

from spectra.ai.retrieval.context import Sources
from spectra.model.ai import Answer, Prompt
from spectra.model.explanations import Explanation
from spectra.model.records import HostRecord
from spectra.model.summaries import AiSummary, Target

DEADLINE_S: Final = 3.5
"""Longest a summary takes, retrieval included; what follows is the rules, which take some milliseconds."""

Rules = Callable[[HostRecord, datetime], Explanation]
"""What the facts of a host amount to by fixed rules, at a moment."""


class Asking(Protocol):
    """Asks models: `ai.gateway.Gateway`."""

    def answer(self, prompt: Prompt, *, account: str, deadline_s: float) -> Answer:
        """The answer of the first that gives one; raises `NoModel`."""
        ...


class Explainer:
    """Summaries of one database's targets. Thread-safe. `gateway` None: there are no models."""

    def __init__(
        self,
        gateway: Asking | None,
        sources: Sources,
        rules: Rules,
        clock: Callable[[], datetime],
        *,
        deadline_s: float = DEADLINE_S,
        cache_hours: float = 24.0,
        free_text: Literal["local", "detected"] = "local",
    ) -> None:
        raise NotImplementedError

    def summary(
        self, target: Target, account: str, question: str = "", *, findings: bool = True, rules: bool = False
    ) -> AiSummary:
        """What is known of `target`, what to mind, and what to do next.

        `findings`: whether the account may be told weaknesses; `rules`: ask no model. Raises `NotFound` where nothing
        is known of it, `BadRequest` for what is no target, `Unavailable` where the database is away, and nothing for
        what models do: then it is the rules' (`by`, `why`).
        """
        raise NotImplementedError
