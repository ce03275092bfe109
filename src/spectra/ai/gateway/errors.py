"""Why no model answered."""

from __future__ import annotations

from typing import Literal, NamedTuple

from spectra.errors import SpectraError, Unavailable

Reason = Literal["ai_no_provider", "ai_unavailable", "ai_deadline", "ai_budget", "ai_busy", "ai_leak_stopped"]


class Tried(NamedTuple):
    """A provider, and why it gave no answer: words without data of anybody."""

    provider: str
    why: str


class NoModel(Unavailable):
    """No model answered. `reason`:

    - `ai_no_provider`: none may see this (its class, opt-in, or a way out that is down);
    - `ai_unavailable`: all that may were asked, or are spared by their breakers, and none answered;
    - `ai_deadline`: the time that all of it may take is up;
    - `ai_budget`: today's tokens or cost of the account, or of all providers, are used up;
    - `ai_busy`: as many requests as are allowed at once are on their way;
    - `ai_leak_stopped`: a private value was still in what was about to leave.

    `tried` says which providers were passed over or failed, in order.
    """

    reason = "ai_unavailable"

    def __init__(
        self, message: str, *, reason: Reason = "ai_unavailable", hint: str = "", tried: tuple[Tried, ...] = ()
    ) -> None:
        super().__init__(message, reason=reason, hint=hint)
        self.tried = tried


class RefusedByModel(SpectraError):
    """A provider refused the request itself (too long, a schema it cannot take): asking again would not help."""

    reason = "ai_refused"
