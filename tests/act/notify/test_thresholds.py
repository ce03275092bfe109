"""How often something happened lately."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.act.notify.thresholds import MAX_KEPT, added, total, within
from tests.act.notify.alertsamples import NOON, opened

MOMENTS = st.lists(st.tuples(st.integers(0, 900), st.integers(1, 4)), max_size=60)


@settings(max_examples=40)
@given(MOMENTS, st.integers(1, 300))
def test_it_is_as_counting_all_of_them(moments: list[tuple[int, int]], window: int) -> None:
    """How many there are, and how many of them in the last window."""
    recent = added([], [opened(after_s=at, times=n) for at, n in moments])
    assert total(recent) == sum(n for _, n in moments)
    now = NOON + timedelta(seconds=900)
    assert total(within(recent, window, now)) == sum(n for at, n in moments if at > 900 - window)


def test_few_are_kept() -> None:
    """However many there were, none is forgotten before its time."""
    recent = added([], [opened(after_s=number) for number in range(1000)])
    assert (len(recent), total(recent)) == (MAX_KEPT, 1000)
    assert recent == sorted(recent)
