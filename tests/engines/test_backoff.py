"""The restart budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spectra.engines.backoff import RestartBudget


@given(st.lists(st.floats(min_value=0, max_value=200), max_size=80))
def test_never_more_than_the_limit_in_any_window(gaps: list[float]) -> None:
    """Whatever the times of death, no window of 300 s holds more than 10 attempts, and an idle window refills."""
    budget = RestartBudget()
    now, granted = 0.0, list[float]()
    for gap in gaps:
        now += gap
        pause = budget.next_pause(now)
        recent = [then for then in granted if now - then <= budget.window_s]
        assert (pause is None) == (len(recent) >= budget.limit)
        if pause is not None:
            granted.append(now)
            assert 0.05 <= pause <= 45.0
    assert budget.next_pause(now + budget.window_s + 1) is not None


def test_pauses_double_up_to_the_longest() -> None:
    """Within the jitter of a half, each pause is twice the last, until the longest."""
    budget = RestartBudget(limit=6, first_s=1.0, longest_s=8.0)
    for middle in (1, 2, 4, 8, 8, 8):
        pause = budget.next_pause(0.0)
        assert pause is not None
        assert middle * 0.5 <= pause <= middle * 1.5
    assert budget.next_pause(0.0) is None
