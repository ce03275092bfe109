"""Names of products."""

from __future__ import annotations

import pytest

from spectra.intel.correlate.names import NoNames, word


@pytest.mark.parametrize(
    ("name", "expected"),
    [("x_server", "xserver"), ("X Server", "xserver"), (r"dokuwiki\+", "dokuwiki+"), ("pure-ftpd", "pureftpd")],
)
def test_spellings_of_a_name_are_one_word(name: str, expected: str) -> None:
    """Case, spaces, dashes and the backslashes of CPE names do not matter; a plus does."""
    assert word(name) == expected


def test_without_feeds_there_are_no_names() -> None:
    """The null lookup."""
    assert NoNames().named(["nginx"]) == {}
