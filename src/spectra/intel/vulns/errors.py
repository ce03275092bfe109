"""What is wrong with a feed of weaknesses as a whole; what is wrong with one record of it is a `Problem`."""

from __future__ import annotations

from spectra.errors import SpectraError


class VulnFeedError(SpectraError):
    """A feed that is not read, or not to its end. `line` (1-based, 0: none) says where.

    `reason` is one of `feed_corrupt` (damaged or cut short), `feed_malformed` (no JSON), `feed_unknown` (no format
    known here), `feed_too_large` (a bound) and `feed_unreadable` (the file itself).
    """

    reason = "feed_corrupt"

    def __init__(self, message: str, *, reason: str | None = None, hint: str = "", line: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message, reason=reason, hint=hint)
        self.line = line
