"""The parsers' error."""

from __future__ import annotations

from spectra.errors import SpectraError
from spectra.ingest.parsers.errors import ParseError


def test_it_says_where_and_is_not_worth_retrying() -> None:
    """Line and field are there, known or not; the same bytes fail again."""
    error = ParseError("no", reason="too_deep", line=3, field="x")
    assert isinstance(error, SpectraError)
    assert (error.reason, error.line, error.field, error.retryable) == ("too_deep", 3, "x", False)
    assert (ParseError("no").reason, ParseError("no").line, ParseError("no").field) == ("malformed", 0, "")
