"""Saying nothing."""

from __future__ import annotations

import pytest

from spectra.bench.saying import Say, silent


def test_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody wants to hear."""
    say: Say = silent
    say("starting the server")
    assert capsys.readouterr() == ("", "")
