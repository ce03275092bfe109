"""What is wrong with a feed as a whole."""

from spectra.intel.vulns import VulnFeedError


def test_it_says_where() -> None:
    """The line stands in the message and beside it; without one neither does."""
    error = VulnFeedError("This is a web page, no feed.", line=3, hint="Look at the address.")
    assert (error.line, str(error)) == (3, "line 3: This is a web page, no feed. Look at the address.")
    assert VulnFeedError("It is empty.").message == "It is empty."


def test_its_reason_is_told() -> None:
    """Damage unless another reason is given; trying again with the same file is no help."""
    assert VulnFeedError("x").reason == "feed_corrupt"
    assert VulnFeedError("x", reason="feed_unknown").reason == "feed_unknown"
    assert not VulnFeedError.retryable
