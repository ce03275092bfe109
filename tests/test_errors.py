"""The base error: a reason for machines, words for people, a verdict for who retries."""

from __future__ import annotations

import pytest

from spectra.errors import BadRequest, Corrupt, NotFound, SetupError, SpectraError, Unavailable


def test_words_and_hint_make_the_text() -> None:
    """What is printed where nothing else formats it."""
    assert str(SpectraError("It broke.", hint="Mend it.")) == "It broke. Mend it."
    assert str(SpectraError("It broke.")) == "It broke."


@pytest.mark.parametrize(
    ("kind", "reason", "retryable"),
    [
        (SpectraError, "error", False),
        (NotFound, "not_found", False),
        (BadRequest, "bad_request", False),
        (Unavailable, "unavailable", True),
        (Corrupt, "corrupt", False),
        (SetupError, "setup", False),
    ],
)
def test_each_kind_has_a_reason_and_a_verdict(kind: type[SpectraError], reason: str, retryable: bool) -> None:
    """Reasons are metric labels and problem types: changing one changes the API."""
    error = kind("x")
    assert (error.reason, error.retryable) == (reason, retryable)
    assert isinstance(error, SpectraError)


def test_a_reason_can_be_more_precise() -> None:
    """For this error alone, not for its class."""
    assert Unavailable("x", reason="disk_full").reason == "disk_full"
    assert Unavailable("x").reason == "unavailable"


def test_bad_request_says_where() -> None:
    """Field and column, as far as they are known."""
    error = BadRequest("x", field="q", column=7)
    assert (error.field, error.column) == ("q", 7)
    assert (BadRequest("x").field, BadRequest("x").column) == ("", None)
