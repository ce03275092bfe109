"""The rules' summary has the shape of a model's, and cites as well."""

from __future__ import annotations

import pytest

from spectra.ai.explain.ruled import ruled
from spectra.ai.retrieval.collect import gather
from spectra.intel.explain import explain
from spectra.model.explanations import LEVELS
from spectra.model.summaries import Target
from tests.ai.retrieval.town import IP, NAME, NOW, REGRESSION, Town

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    "target", [Target("ip", IP), Target("host", NAME), Target("query", "port:22"), Target("query", "port:9")]
)
def test_every_sentence_cites(town: Town, target: Target) -> None:
    """Three parts, the worst risk first; what is cited is a record of the graph."""
    parts = ruled(gather(town.sources, target, now=NOW), explain, NOW)
    assert parts.summary
    assert parts.next_steps
    assert all(claim.says and claim.cites for claim in parts.claims)
    assert [risk.level for risk in parts.risks] == sorted((r.level for r in parts.risks), key=LEVELS.index)
    kinds = {cited.partition(":")[0] for claim in parts.claims for cited in claim.cites}
    assert kinds <= {"host", "endpoint", "finding", "query"}


def test_findings_and_rules_are_told_together(town: Town) -> None:
    """The exploited weakness first, then what the rules mind; steps repair it and follow the rules' advice."""
    parts = ruled(gather(town.sources, Target("ip", IP), now=NOW), explain, NOW)
    finding = f"finding:{IP}~22~tcp~{REGRESSION}"
    assert parts.summary[0].cites == (f"host:{IP}",)
    assert "2 weaknesses are open, 1 of them known to be exploited" in parts.summary[1].says
    assert parts.risks[0].cites == (finding,)
    assert parts.risks[0].says.startswith(f"{REGRESSION} on {IP} 22/tcp (OpenSSH 9.2p1): severity high, CVSS 8.1")
    assert any("expires on" in risk.says and risk.cites == (f"endpoint:{IP}/tcp/443",) for risk in parts.risks)
    assert parts.next_steps[0].says.startswith(f"Bring OpenSSH on {IP} 22/tcp up to date: {REGRESSION} and 1 more")
    assert any(step.cites == (f"endpoint:{IP}/tcp/443",) for step in parts.next_steps)


def test_a_query_that_finds_nothing(town: Town) -> None:
    """Says so."""
    parts = ruled(gather(town.sources, Target("query", "port:9"), now=NOW), explain, NOW)
    assert "The query finds 0 open endpoints" in parts.summary[0].says
    assert parts.risks == ()
