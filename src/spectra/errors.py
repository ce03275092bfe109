"""The one base error of Spectra, with the verdict a retrying caller needs.

Errors know no HTTP: `spectra.api.problems` holds the one table from error to status code, and the command line
catches `SpectraError` once. Each subclass of the rooms fixes `retryable` and a machine-readable `reason`.
"""

from __future__ import annotations

from typing import ClassVar


class SpectraError(Exception):
    """Base of every error Spectra raises on purpose.

    `reason` is a stable snake_case word (metric label, problem type); the message is for a person and says what to do
    next; `retryable` is True where the same call may succeed later without being changed.
    """

    reason: str = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, reason: str | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if reason is not None:
            self.reason = reason

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class NotFound(SpectraError):
    """What was asked for is not in the store."""

    reason = "not_found"


class BadRequest(SpectraError):
    """The caller's words are off; `field` names which, `column` (1-based) where in it, if known."""

    reason = "bad_request"

    def __init__(
        self, message: str, *, reason: str | None = None, hint: str = "", field: str = "", column: int | None = None
    ) -> None:
        super().__init__(message, reason=reason, hint=hint)
        self.field = field
        self.column = column


class Unavailable(SpectraError):
    """An engine (database, blob store) is away; nothing was accepted and the caller may try again."""

    reason = "unavailable"
    retryable = True
    retry_after_s: float = 2.0


class Corrupt(SpectraError):
    """Stored bytes do not hash to their address: reported, never served."""

    reason = "corrupt"


class SetupError(SpectraError):
    """This machine or its configuration keeps Spectra from starting."""

    reason = "setup"
