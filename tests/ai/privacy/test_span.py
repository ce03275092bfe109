"""Words of a text."""

from __future__ import annotations

from spectra.ai.privacy.span import words_of


def test_words_are_runs_of_letters() -> None:
    """With the places where they begin."""
    assert words_of("db_password=x1 é") == [(0, "db"), (3, "password"), (12, "x"), (15, "é")]
