"""The one error a parser raises."""

from __future__ import annotations

from spectra.errors import SpectraError


class ParseError(SpectraError):
    """Nothing useful can be read from this output.

    `reason` is one of `unrecognised_format`, `too_large`, `malformed`, `output_mismatch`, `malformed_compression` and
    `too_deep`; `line` is 1-based (0: unknown). One bad record among good ones is a `Problem`, not this.
    """

    reason = "malformed"

    def __init__(
        self, message: str, *, reason: str | None = None, hint: str = "", line: int = 0, field: str = ""
    ) -> None:
        super().__init__(message, reason=reason, hint=hint)
        self.line = line
        self.field = field
        self.observation_id = ""  # of the submission that carried the output, once that is on record
