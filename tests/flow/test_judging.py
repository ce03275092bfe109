"""The judge that is handed to the store."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spectra.flow.judging import JUDGE

PART = st.floats(0, 1)


@given(st.floats(0, 100), PART, st.sampled_from(["", "possibly"]))
def test_lists_are_sorted_by_the_score_that_is_shown(risk: float, confidence: float, patched: str) -> None:
    """What the store computes from `doubt` and `repaired` is the score of an address that can be reached."""
    computed = risk * (JUDGE.doubt + (1 - JUDGE.doubt) * confidence) * (JUDGE.repaired if patched else 1)
    assert abs(JUDGE.priority(risk, confidence, True, patched, ()).score - computed) < 0.051


@given(st.floats(0, 100), PART, st.sampled_from(["", "possibly"]))
def test_no_score_is_above_the_risk(risk: float, confidence: float, patched: str) -> None:
    """Which the walk along the risks of CVEs rests on; and no other address has more."""
    score = JUDGE.priority(risk, confidence, True, patched, ()).score
    assert JUDGE.priority(risk, confidence, False, patched, ()).score <= score <= risk + 0.051


def test_reasons_are_told() -> None:
    """Those of the risk come first."""
    why = JUDGE.why(9.8, "critical", 0.5, True, False, "")
    assert JUDGE.priority(95, 1, JUDGE.exposed("8.8.8.8"), "", why).reasons[: len(why)] == why
