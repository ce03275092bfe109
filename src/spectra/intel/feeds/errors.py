"""What is wrong with a feed, and where."""

from __future__ import annotations

from spectra.errors import SpectraError


class FeedError(SpectraError):
    """A feed file that is not taken.

    `line` (1-based, 0: none) or `offset` (byte, -1: none) say where, `field` which value of it. `reason` is one of
    `feed_corrupt` (not what it claims to be), `feed_unknown` (no format known here), `feed_too_large` (a bound),
    `feed_unreadable` (the file itself) and `feed_provider` (a plain list that nobody said the provider of).
    """

    reason = "feed_corrupt"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        hint: str = "",
        line: int = 0,
        field: str = "",
        offset: int = -1,
    ) -> None:
        where = f"line {line}: " if line else f"byte {offset}: " if offset >= 0 else ""
        super().__init__(f"{where}{message}", reason=reason, hint=hint)
        self.line = line
        self.field = field
        self.offset = offset
