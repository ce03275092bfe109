"""When feeds are fetched again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from spectra.flow.schedule import RETRY, due
from spectra.model.feeds import UPLOAD

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_feed_is_due_after_its_interval_and_a_jitter_of_its_own() -> None:
    """Within a tenth of it, the same each time, and not for all at once."""
    times = {due(f"feed-{n}", "https://example.org/f", NOW, failed=False, every=DAY) for n in range(50)}
    assert all(DAY <= when - NOW <= 1.1 * DAY for when in times)
    assert len(times) > 10
    assert due("feed-1", "https://example.org/f", NOW, failed=False, every=DAY) in times


def test_after_a_failure_it_is_sooner_but_never_more_often_than_asked() -> None:
    """An hour later, or after the interval where that is shorter."""
    assert due("a", "https://example.org/f", NOW, failed=True, every=DAY) == NOW + RETRY
    assert due("a", "https://example.org/f", NOW, failed=True, every=timedelta(minutes=5)) == NOW + timedelta(minutes=5)


def test_what_came_as_a_file_is_never_due() -> None:
    """There is nowhere to fetch it from."""
    assert due("a", UPLOAD, NOW, failed=False, every=DAY).year == 9999
