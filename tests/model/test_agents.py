"""The agents as they are told of."""

from __future__ import annotations

from spectra.model.agents import AGENTS_HERE
from spectra.model.insights import AGENTS


def test_every_agent_is_told_of() -> None:
    """But enrichment, which has a route of its own."""
    assert [one.name for one in AGENTS_HERE] == [name for name in AGENTS if name != "enrichment"]
    assert all(one.does.endswith(".") for one in AGENTS_HERE)
