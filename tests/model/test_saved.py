"""What a saved search may be called."""

from __future__ import annotations

import pytest

from spectra.errors import BadRequest
from spectra.model.saved import checked_name


@pytest.mark.parametrize("name", ["ssh", "SSH in Köln (old)", "7 days", "a" * 60])
def test_names_are_words(name: str) -> None:
    """With blanks between, not around."""
    assert checked_name(f" {name} ") == name


@pytest.mark.parametrize("name", ["", " ", "-x", "a/b", "a\nb", "a" * 61, "<b>", "..", "_"])
def test_what_is_no_name(name: str) -> None:
    """It stands in a path, so it holds nothing that a path would be read by."""
    with pytest.raises(BadRequest, match="no name"):
        checked_name(name)
