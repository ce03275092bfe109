"""Summaries of a target: a model's where it answers in time and every claim of it holds, else the rules'.

One deadline is for all of it: looking facts up, every provider, and asking again after an answer that was refused.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

import msgspec

from spectra.ai.explain.asking import FreeText, prompt
from spectra.ai.explain.checking import Parts, checked
from spectra.ai.explain.ruled import Rules, ruled
from spectra.ai.gateway.errors import NoModel
from spectra.ai.retrieval.collect import gather
from spectra.ai.retrieval.context import Context, Sources
from spectra.ai.retrieval.patience import Places, TooLate
from spectra.errors import SpectraError
from spectra.model.ai import Answer, Prompt
from spectra.model.summaries import AiSummary, CitedRecord, Target
from spectra.store import aicache

_log = logging.getLogger("spectra.ai")

DEADLINE_S: Final = 3.5
"""Longest a summary takes, retrieval included; what follows is the rules, which take some milliseconds."""
MAX_ATTEMPTS: Final = 3
LEAST_S: Final = 0.25
"""With less time left no model is asked any more."""
AT_ONCE: Final = 64
"""Answers that may be waited for at once; the gateway has a bound of its own for what it asks."""
_GRACE_S: Final = 0.1
_PATIENCE: Final = 0.2  # the part of the deadline that CVEs that are alike may take
_FORM: Final = "summary-1"  # changes with what is asked for, so that nothing older is taken for it


class Asking(Protocol):
    """Asks models: `ai.gateway.gateway.Gateway`."""

    def answer(self, prompt: Prompt, *, account: str, deadline_s: float) -> Answer:
        """The answer of the first that gives one; raises `NoModel`."""
        ...


class _Wanted(NamedTuple):
    """One summary that is being made. `until` is by the monotonic clock, in seconds."""

    target: Target
    account: str
    question: str
    now: datetime
    until: float

    @property
    def left(self) -> float:
        return self.until - time.monotonic()


class _Failed(NamedTuple):
    """Why no model made it, in words and in one word, and how many answers were looked at."""

    why: str
    reason: str
    attempts: int


class Explainer:
    """Summaries of one database's targets. Thread-safe. `gateway` None: there are no models.

    `models` says which models may answer: a summary that is kept is of these alone.
    """

    def __init__(
        self,
        gateway: Asking | None,
        sources: Sources,
        rules: Rules,
        clock: Callable[[], datetime],
        *,
        deadline_s: float = DEADLINE_S,
        cache_hours: float = 24.0,
        free_text: FreeText = "local",
        models: str = "",
    ) -> None:
        self._gateway = gateway
        self._sources = sources
        self._rules = rules
        self._clock = clock
        self._deadline_s = deadline_s
        self._keep = timedelta(hours=cache_hours)
        self._free_text: FreeText = free_text
        self._models = models
        self._places = Places(AT_ONCE, "summary")

    def summary(
        self, target: Target, account: str, question: str = "", *, findings: bool = True, rules: bool = False
    ) -> AiSummary:
        """What is known of `target`, what to mind, and what to do next.

        `findings`: whether the account may be told weaknesses; `rules`: ask no model. Raises `NotFound` where nothing
        is known of it, `BadRequest` for what is no target, `Unavailable` where the database is away, and nothing for
        what models do: then it is the rules' (`by`, `why`).
        """
        until = time.monotonic() + self._deadline_s
        question = question.strip()
        wanted = _Wanted(target, account, question, self._clock(), until)
        patience = 0.0 if rules else self._deadline_s * _PATIENCE
        sources = self._sources._replace(nearest=None) if rules else self._sources
        context = gather(sources, target, question, now=wanted.now, findings=findings, patience_s=patience)
        if rules:
            return self._ruled(wanted, context, _Failed("It was not to be asked.", "ai_not_asked", 0))
        key = self._key(wanted, context)
        if kept := self._kept(key, wanted.now):
            return kept
        made = self._modelled(wanted, context)
        if isinstance(made, _Failed):
            return self._ruled(wanted, context, made)
        self._keep_it(key, made)
        return made

    # A model's -------------------------------------------------------------------------------------------------------

    def _modelled(self, wanted: _Wanted, context: Context) -> AiSummary | _Failed:
        """Ask until an answer holds, time is up, or nobody answers."""
        if self._gateway is None:
            return _Failed("No model is configured.", "ai_no_provider", 0)
        refused: tuple[str, ...] = ()
        for attempt in range(1, MAX_ATTEMPTS + 1):
            if wanted.left < LEAST_S:
                return _late(refused, attempt - 1)
            asked = prompt(context, wanted.question, self._free_text, refused)
            try:
                answer = self._answer(self._gateway, wanted, asked)
            except SpectraError as error:
                return _away(error, refused, attempt - 1)
            except Exception:  # noqa: BLE001 - whatever it is, the rules answer
                _log.exception("a model could not be asked")
                return _Failed("Asking a model failed; the log says more.", "ai_unavailable", attempt - 1)
            parts, refused = checked(answer.text, context.items, answer.label, wanted.question)
            if parts:
                return _summary(wanted, context, parts, _by_model(answer, attempt))
            _log.warning("a summary by %s was refused: %s", answer.provider, "; ".join(refused))
        return _late(refused, MAX_ATTEMPTS)

    def _answer(self, gateway: Asking, wanted: _Wanted, asked: Prompt) -> Answer:
        """The gateway keeps the deadline itself; that it does is not relied upon."""
        left = wanted.left

        def answer() -> Answer:
            return gateway.answer(asked, account=wanted.account, deadline_s=left)

        return self._places.within(answer, left + _GRACE_S)

    # What is kept ----------------------------------------------------------------------------------------------------

    def _key(self, wanted: _Wanted, context: Context) -> bytes:
        """Of all that an answer depends on: what is asked of whom, and each fact."""
        target = (wanted.target.kind, wanted.target.value)
        asked = (_FORM, self._models, self._free_text, target, wanted.question, context.facts, context.left_out)
        return hashlib.sha256(msgspec.json.encode(asked)).digest()

    def _kept(self, key: bytes, now: datetime) -> AiSummary | None:
        if not self._keep:
            return None
        found = aicache.get(self._sources.database, key, now)
        try:
            kept = msgspec.json.decode(found, type=AiSummary) if found else None
        except (ValueError, RecursionError):
            return None
        return msgspec.structs.replace(kept, cached=True) if kept else None

    def _keep_it(self, key: bytes, made: AiSummary) -> None:
        """A summary is given also where it cannot be kept."""
        try:
            aicache.put(self._sources.database, key, msgspec.json.encode(made), now=made.at, keep=self._keep)
        except SpectraError as error:
            _log.warning("a summary is not kept: %s", error.message)

    # The rules' ------------------------------------------------------------------------------------------------------

    def _ruled(self, wanted: _Wanted, context: Context, failed: _Failed) -> AiSummary:
        parts = ruled(context, self._rules, wanted.now)
        made = {"by": "rules", "why": failed.why, "reason": failed.reason, "attempts": failed.attempts}
        return _summary(wanted, context, parts, made)


def _away(error: SpectraError, refused: tuple[str, ...], attempts: int) -> _Failed:
    """Nobody answered, or nobody answered again."""
    if refused or isinstance(error, TooLate):
        return _late(refused, attempts)
    untold = [one for one in error.tried if one.provider not in error.message] if isinstance(error, NoModel) else []
    tried = "; ".join(f"{name}: {why}" for name, why in untold)
    return _Failed(f"{error.message} ({tried})" if tried else error.message, error.reason, attempts)


def _late(refused: tuple[str, ...], attempts: int) -> _Failed:
    """No answer held, or none came in time."""
    if refused:
        return _Failed(f"No answer of a model held: {'; '.join(refused)}.", "ai_answer_refused", attempts)
    return _Failed("No model answered in time.", "ai_deadline", attempts)


def _by_model(answer: Answer, attempts: int) -> dict[str, object]:
    said = {"by": "model", "provider": answer.provider, "model": answer.model}
    return {**said, "label": answer.label.name, "attempts": attempts}


def _summary(wanted: _Wanted, context: Context, parts: Parts, made: Mapping[str, object]) -> AiSummary:
    cited = dict.fromkeys(record for claim in parts.claims for record in claim.cites)
    titles = {record: context.records[record].title for record in cited if record in context.records}
    fields: dict[str, object] = {
        "kind": wanted.target.kind,
        "target": wanted.target.value,
        "question": wanted.question,
        "at": wanted.now,
        **parts._asdict(),
        "records": tuple(CitedRecord(record, titles.get(record) or record.partition(":")[2]) for record in cited),
        "facts": len(context.items),
        "left_out": context.left_out,
        "note": context.note,
        **made,
    }
    return AiSummary(**fields)  # type: ignore[arg-type]
