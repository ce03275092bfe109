"""Which provider is asked, and which next: order, class, breaker, budget, way out, and one deadline for all of it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from spectra.ai.gateway.books import Books
from spectra.ai.gateway.egress import Egress
from spectra.ai.gateway.errors import NoModel, Reason, RefusedByModel, Tried
from spectra.ai.gateway.outgoing import Outgoing
from spectra.ai.gateway.providers import Provider
from spectra.errors import NotFound, SpectraError
from spectra.model.ai import Label, Usage
from spectra.settings.ai import AiSettings, Residency
from spectra.store.aibudgets import Hold, Limit
from spectra.store.aicalls import Call

if TYPE_CHECKING:
    from spectra.ai.gateway.failures import Failed, What
    from spectra.ai.gateway.wire import Sending, Stop

_log = logging.getLogger("spectra.ai")

T = TypeVar("T")

_SHARE: Final = 0.6  # of the time that is left, for one of several that can be asked
_SOONEST_S: Final = 0.02  # less time than this is none
_NOTHING: Final = Usage()
_TOLD: Final = 3  # providers whose failure a message tells; `NoModel.tried` has all
_FAIR_S: Final = 1.0  # a provider that had less time than this is not slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is asked. `render`: what a residency may see of it, None for nothing; `may_go` says at little cost whether
    that is anything. `until` is of `time.monotonic`.
    """

    account: str
    purpose: str
    label: Label
    render: Callable[[Residency], Outgoing | None]
    may_go: Callable[[Residency], bool]
    named: Callable[[Provider], bool]
    lacks: Callable[[Provider], str]
    model: str
    max_tokens: int | None
    started: float
    until: float


@dataclass(slots=True)
class Try:
    """One provider that is asked."""

    job: Job
    provider: Provider
    outgoing: Outgoing
    hold: Hold
    sending: Sending
    model: str


@dataclass(slots=True)
class _Course:
    """What happened so far in one job."""

    tried: list[Tried] = field(default_factory=list[Tried])
    whats: set[str] = field(default_factory=set[str])
    refused: list[Tried] = field(default_factory=list[Tried])
    asked: list[Tried] = field(default_factory=list[Tried])
    left: int = 0
    rendered: dict[Residency, Outgoing | None] = field(default_factory=dict["Residency", "Outgoing | None"])

    def passed(self, provider: Provider, what: str, why: str) -> None:
        self.tried.append(Tried(provider.name, why))
        self.whats.add(what)
        if what not in {"off", "late", "spent"}:
            self.asked.append(self.tried[-1])
        if what == "refused":
            self.refused.append(self.tried[-1])


class Chain:
    """The providers in their order. Thread-safe."""

    def __init__(
        self,
        settings: AiSettings,
        providers: tuple[Provider, ...],
        egress: Egress,
        books: Books,
        clock: Callable[[], datetime],
    ) -> None:
        self.providers = providers
        self.egress = egress
        self._books = books
        self._clock = clock
        self._of_account = Limit(settings.tokens_per_account_day)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def first(self, job: Job, ask: Callable[[Try, float], T]) -> tuple[Try, T]:
        """What the first provider that may be asked and answers says. `ask` gets the seconds that it may take."""
        named = [provider for provider in self.providers if job.named(provider)]
        wanted = [provider for provider in named if provider.settings.opt_in]
        if not named:
            raise NotFound(
                f"No model is called {job.model[:80]!r}.", reason="unknown_model", hint="`spectra ai providers`"
            )
        course = _Course()
        try:
            for number, provider in enumerate(wanted):
                one = self._try(job, provider, course)
                if one is None:
                    continue
                left = job.until - time.monotonic()
                more = any(_may(job, later) for later in wanted[number + 1 :])
                try:
                    answer = ask(one, min(left * _SHARE if more else left, provider.settings.timeout_s))
                except Exception as error:  # noqa: BLE001 - whatever a library raises, the next provider is asked
                    self._failed(one, error, left, course)
                else:
                    return one, answer
            raise _none(course, job)
        except (NoModel, RefusedByModel) as error:
            self._lost(job, course, error)
            raise

    def finish(self, one: Try, usage: Usage, outcome: str) -> None:
        """Put a request in the ledger that `ask` let pass: its answer, or half of one, is there."""
        self.count(one.provider.name, outcome)
        self.record(one.job, one.outgoing.label, outcome, one, usage)

    def record(
        self, job: Job, label: Label, outcome: str, one: Try | None = None, usage: Usage = _NOTHING, *, left: int = 0
    ) -> None:
        """Put a request in the ledger; one that cannot be written is not lost for it."""
        call = Call(
            at=self._clock(),
            account=job.account,
            purpose=job.purpose,
            provider=one.provider.name if one else "",
            model=one.model if one else "",
            label=label,
            outcome=outcome,
            usage=usage,
            cost=one.provider.cost(usage) if one else 0.0,
            ms=round((time.monotonic() - job.started) * 1000),
            away=(one.sending.left if one else left) > 0,
        )
        try:
            self._books.record(call, one.hold if one else None)
        except SpectraError as error:
            _log.error("a request to a model is not in the ledger: %s", error)

    def count(self, provider: str, outcome: str) -> None:
        """Count a request for the metrics."""
        with self._lock:
            self._counts[provider, outcome] += 1

    def counts(self) -> dict[tuple[str, str], int]:
        """Requests so far, by provider and outcome."""
        with self._lock:
            return dict(self._counts)

    def _rendered(self, job: Job, provider: Provider, course: _Course) -> Outgoing | None:
        residency = provider.settings.residency
        if residency not in course.rendered:
            course.rendered[residency] = job.render(residency)
        return course.rendered[residency]

    def _try(self, job: Job, provider: Provider, course: _Course) -> Try | None:
        """What is needed to ask a provider; None where it is passed over."""
        from spectra.ai.gateway.wire import Sending

        if hindered := self._hindered(job, provider):
            return course.passed(provider, *hindered)
        outgoing = self._rendered(job, provider, course)
        if outgoing is None:
            return course.passed(provider, "off", f"takes {provider.takes.name} at most")
        guess = provider.guess(outgoing.size, job.max_tokens)
        limits = (self._of_account, provider.limit)
        now = self._clock()
        tokens = guess.input + guess.output
        cost = provider.cost(guess)
        hold = self._books.reserve(job.account, provider.name, tokens=tokens, cost=cost, limits=limits, now=now)
        if hold == "account":
            raise NoModel(
                "The tokens that this account may use today are used up.",
                reason="ai_budget",
                hint="Ask again tomorrow (UTC), or raise ai.tokens_per_account_day.",
                tried=tuple(course.tried),
            )
        if hold == "provider":
            return course.passed(provider, "spent", "its budget of today is used up")
        if not provider.allow():
            self._books.release(hold)
            return course.passed(provider, "spared", f"is spared for a while: {provider.spared()[1] or 'it is tried'}")
        sending = Sending(
            account=job.account,
            provider=provider.name,
            model=provider.model,
            purpose=job.purpose,
            away=provider.away,
            outgoing=outgoing,
            books=self._books,
            clock=self._clock,
        )
        return Try(job, provider, outgoing, hold, sending, provider.model)

    def _hindered(self, job: Job, provider: Provider) -> tuple[str, str] | None:
        """Why a provider is not asked, whatever it may see."""
        if why := provider.off() or job.lacks(provider):
            return "off", why
        if job.until - time.monotonic() < _SOONEST_S:
            return "late", "no time was left"
        if provider.away and (why := self.egress.down()):
            return "off", f"the way out is down: {why}"
        return None

    def _failed(self, one: Try, error: Exception, left: float, course: _Course) -> None:
        """Learn from a failure."""
        from spectra.ai.gateway.failures import failed

        failure = _stopped(one) or failed(error)
        course.left += one.sending.left
        if failure.what in {"passing", "slow"} and one.provider.away:
            self.egress.forget()
            if why := self.egress.down():
                failure.what, failure.why = "blocked", f"the way out is down: {why}"
        if failure.why.startswith("does not know its model"):
            failure.why += f": set ai.{one.provider.name}.model"
        if failure.what in {"passing", "setup"} or (failure.what == "slow" and left >= _FAIR_S):
            one.provider.bad(failure.why, failure.wait_s)
        else:
            one.provider.unknown()
        self._books.release(one.hold)
        self.count(one.provider.name, failure.what)
        _log.warning("model provider %s: %s", one.provider.name, failure.why)
        course.passed(one.provider, failure.what, failure.why)

    def _lost(self, job: Job, course: _Course, error: SpectraError) -> None:
        self.count("", error.reason)
        self.record(job, job.label, error.reason, left=course.left)


def _may(job: Job, provider: Provider) -> bool:
    """Whether a later provider may be asked, should it come to that. It hardly does: nothing is rendered for it."""
    return not provider.off() and not job.lacks(provider) and job.may_go(provider.settings.residency)


def _stopped(one: Try) -> Failed | None:
    """What a request that was not sent failed by."""
    from spectra.ai.gateway.failures import Failed

    stopped = one.sending.stopped
    return Failed(*_STOPPED[stopped]) if stopped else None


_STOPPED: Final[dict[Stop, tuple[str, What, float | None]]] = {
    "leak": ("was not asked: a private value was still in the request", "leak", None),
    "record": ("was not asked: the request could not be put on record", "blocked", None),
    "elsewhere": ("was not asked: it is not where it is configured to be", "setup", 60.0),
    "not_machine": ("was not asked: it is not on this machine, nor in ai.machine_networks", "setup", 60.0),
}
_SAID: Final[dict[Reason, tuple[str, str]]] = {
    "ai_leak_stopped": (
        "A request to a model was stopped: a private value was still in it.",
        "Please report it; nothing has left this machine.",
    ),
    "ai_deadline": ("No model answered in time.", "`spectra ai providers` shows how it stands with each."),
    "ai_unavailable": ("No model answers at the moment.", "`spectra ai providers` shows how it stands with each."),
    "ai_budget": ("The budgets of today are used up.", "Ask again tomorrow (UTC), or raise them."),
    "ai_no_provider": (
        "No model may see this, or none is configured.",
        "`spectra ai providers` says why; docs/ai.md tells which class of data goes where.",
    ),
}


def _none(course: _Course, job: Job) -> SpectraError:
    """Why nobody answered."""
    whats = course.whats
    if "leak" in whats:
        reason: Reason = "ai_leak_stopped"
    elif "late" in whats or ("slow" in whats and job.until - time.monotonic() < _SOONEST_S):
        reason = "ai_deadline"
    elif whats & {"passing", "slow", "setup", "spared"}:
        reason = "ai_unavailable"
    elif "refused" in whats:
        told = "; ".join(f"{one.provider} {one.why}" for one in course.refused)
        return RefusedByModel(f"{told}.", hint="Ask for less, or in another form.")
    else:
        reason = "ai_budget" if "spent" in whats else "ai_no_provider"
    message, hint = _SAID[reason]
    if reason in {"ai_deadline", "ai_unavailable"}:
        told = "; ".join(f"{one.provider} {one.why}" for one in course.asked[:_TOLD])
        message = f"{message.rstrip('.')}: {told}." if told else message
    return NoModel(message, reason=reason, hint=hint, tried=tuple(course.tried))
