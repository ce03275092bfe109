"""The base error: its words, its reason, and the verdict on trying again."""

from __future__ import annotations

import pytest

from spectra.errors import BadRequest, Corrupt, NotFound, SetupError, SpectraError, Unavailable


def test_the_message_ends_with_what_to_do_next() -> None:
    """As text an error is its message and its hint."""
    assert str(SpectraError("It is off.", hint="Switch it on.")) == "It is off. Switch it on."
    assert str(SpectraError("It is off.")) == "It is off."


@pytest.mark.parametrize("kind", [BadRequest, Corrupt, NotFound, SetupError, SpectraError, Unavailable])
def test_each_class_has_a_reason_that_a_call_may_make_more_exact(kind: type[SpectraError]) -> None:
    """The reason is a snake_case word; one given at the call does not leak into the class."""
    assert kind("x").reason.replace("_", "").isalpha()
    assert kind("x", reason="more_exact").reason == "more_exact"
    assert kind("x").reason != "more_exact"


def test_only_what_may_pass_by_itself_is_retryable() -> None:
    """Everything else would fail the same way again."""
    assert Unavailable("x").retryable
    assert Unavailable("x").retry_after_s > 0
    assert not any(kind("x").retryable for kind in (BadRequest, Corrupt, NotFound, SetupError))


def test_a_bad_request_points_at_its_field_and_column() -> None:
    """So that a client can show where."""
    error = BadRequest("No such word.", field="q", column=4)
    assert (error.field, error.column) == ("q", 4)
