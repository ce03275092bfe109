"""A summary as lines."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from spectra.cli.summarypage import basis, page
from spectra.model.summaries import AiSummary, CitedRecord, Claim

SUMMARY = AiSummary(
    kind="query",
    target="port:22 " * 60,
    at=datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
    summary=(Claim("\x9b[31mred\u202e", ("host:x", "gone")), Claim("", ())),
    risks=(),
    next_steps=(),
    records=(CitedRecord("host:x", "x"),),
    by="model",
    provider="mistral",
    label="SANITIZED",
    cached=True,
    facts=3,
)


@pytest.mark.parametrize("width", [40, 80])
def test_lines_fit_and_are_safe(width: int) -> None:
    """Nothing in it steers a terminal; a record that is not listed has no number; that there is no risk is said."""
    lines = [line.plain for line in page(SUMMARY, width)]
    assert max(map(len, lines)) <= width
    assert not {"\x9b", "\u202e"} & set("".join(lines))
    assert "[1]" in "".join(lines)
    assert "   None that the facts show." in lines


def test_who_drew_the_conclusions() -> None:
    """A provider without a model's name, and since when it is kept; or rules."""
    assert basis(SUMMARY) == "By mistral from 3 facts, told as SANITIZED, kept since 2026-03-01 12:30 UTC."
    ruled = msgspec.structs.replace(SUMMARY, by="rules", why="Nobody answered.")
    assert basis(ruled) == "From the facts of the graph, by fixed rules. Nobody answered."
