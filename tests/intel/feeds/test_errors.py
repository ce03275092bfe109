"""Errors of feeds."""

from __future__ import annotations

from spectra.intel.feeds import FeedError


def test_where_stands_before_why() -> None:
    """The line, or else the byte; and the hint behind it all."""
    assert str(FeedError("x.", line=3, hint="Do y.")) == "line 3: x. Do y."
    assert str(FeedError("x.", offset=0)) == "byte 0: x."
    error = FeedError("x.", field="a")
    assert (str(error), error.field, error.line, error.offset, error.reason) == ("x.", "a", 0, -1, "feed_corrupt")
