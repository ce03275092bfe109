"""Settings of the dashboard."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from spectra.settings import WebSettings


def test_an_origin_is_written_one_way() -> None:
    """As browsers send it: lower case, nothing after the name."""
    assert WebSettings().origin == ""
    assert WebSettings(origin="https://S.example.org/").origin == "https://s.example.org"
    assert WebSettings(origin="http://localhost:8765").origin == "http://localhost:8765"


@pytest.mark.parametrize(
    "origin", ["s.example.org", "ftp://s.example.org", "https://", "https://s.example.org/path", "https://s/?q"]
)
def test_what_is_no_origin(origin: str) -> None:
    """It is refused at the start."""
    with pytest.raises(ValidationError):
        WebSettings(origin=origin)
