"""Time windows: what is read, when they are open, and what clocks that change do to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.errors import BadRequest
from spectra.flow.windows import next_open, open_at, parse, parse_all


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_night_that_crosses_midnight_belongs_to_the_day_it_begins_on() -> None:
    """Friday night lasts into Saturday; Saturday night is none."""
    window = [parse("Mon-Fri 22:00-06:00 Europe/Paris")]
    assert open_at(window, at("2025-01-10T21:00")) == at("2025-01-11T05:00")  # Friday 22:00 in Paris
    assert open_at(window, at("2025-01-11T04:59")) == at("2025-01-11T05:00")
    assert open_at(window, at("2025-01-11T05:00")) is None
    assert open_at(window, at("2025-01-11T22:00")) is None
    assert next_open(window, at("2025-01-11T05:00")) == at("2025-01-13T21:00")


def test_days_alone_last_all_day_and_neighbours_are_one_window() -> None:
    """`Sat,Sun` is open until Monday, and a window is told to end when its neighbour does."""
    weekend = [parse("Sat,Sun")]
    assert open_at(weekend, at("2025-01-11T10:00")) == at("2025-01-13T00:00")
    halves = parse_all(["08:00-12:00", "12:00-18:00"])
    assert open_at(halves, at("2025-01-11T09:00")) == at("2025-01-11T18:00")


def test_days_go_round_the_end_of_the_week() -> None:
    """`Fri-Mon` are four days."""
    assert parse("Fri-Mon 00:00-24:00").days == {4, 5, 6, 0}


def test_times_are_those_of_the_wall_when_clocks_change() -> None:
    """In the night that Paris loses an hour 22:00-06:00 lasts seven hours, and nine where it gains one."""
    window = [parse("22:00-06:00 Europe/Paris")]
    assert open_at(window, at("2025-03-29T21:00")) == at("2025-03-30T04:00")
    assert open_at(window, at("2025-10-25T20:00")) == at("2025-10-26T05:00")


def test_a_window_within_a_skipped_hour_is_no_trouble() -> None:
    """02:15-02:45 does not exist in the night that clocks go forward: it is put where it would have been."""
    window = [parse("02:15-02:45 Europe/Paris")]
    assert next_open(window, at("2025-03-30T00:00")) == at("2025-03-30T01:15")
    assert open_at(window, at("2025-03-30T01:20")) == at("2025-03-30T01:45")


def test_open_always_is_told_as_far_ahead_as_anybody_looks() -> None:
    """A window of every hour of every day has an end that is weeks ahead."""
    end = open_at([parse("daily")], at("2025-01-01T00:00"))
    assert end is not None
    assert end > at("2025-01-29T00:00")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "nothing to read"),
        ("x" * 201, "too long"),
        ("Foo 22:00-06:00", "'Foo' is no day"),
        ("Mon-Fry 22:00-06:00", "'fry' is no day"),
        ("22:00", "'22:00' is no time"),
        ("22:00-25:00", "there is no 25:00"),
        ("22:60-23:00", "there is no 22:60"),
        ("10:00-10:00", "begins when it ends"),
        ("24:00-10:00", "begins when it ends"),
        ("Mon 10:00-11:00 Europe/Atlantis", "'Europe/Atlantis' is no time zone"),
        ("Mon 10:00-11:00 ../../etc/passwd", "is no time zone"),
        ("Mon 10:00-11:00 UTC tomorrow", "'tomorrow' is no day"),
        ("Europe/Paris", "'Europe/Paris' is no day"),
    ],
)
def test_what_is_no_window_is_told_with_its_part(text: str, part: str) -> None:
    """A person can see which word is wrong."""
    with pytest.raises(BadRequest) as caught:
        parse(text)
    assert part in caught.value.message
    assert (caught.value.field, caught.value.reason) == ("windows", "bad_window")


def test_without_windows_there_is_no_end_to_tell() -> None:
    """Whoever has none has to know that."""
    with pytest.raises(ValueError, match="no windows"):
        open_at([], at("2025-01-01T00:00"))
    with pytest.raises(ValueError, match="no windows"):
        next_open([], at("2025-01-01T00:00"))


@given(
    st.lists(
        st.sampled_from(
            ["Mon 10:00-11:00", "22:00-06:00 Asia/Tokyo", "Sat,Sun", "Tue-Thu 23:30-00:30 America/New_York"]
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(0, 2 * 366 * 86400),
)
def test_what_is_open_next_is_open_then(texts: list[str], seconds: int) -> None:
    """`next_open` is the first moment from now on at which `open_at` says yes, and it closes when that says."""
    windows, now = parse_all(texts), at("2024-01-01T00:00") + timedelta(seconds=seconds)
    opens = next_open(windows, now)
    assert now <= opens <= now + timedelta(days=8)
    end = open_at(windows, opens)
    assert end is not None
    assert open_at(windows, end) is None
    assert open_at(windows, end - timedelta(minutes=1)) == end
    if opens > now:
        assert open_at(windows, now) is None
        assert open_at(windows, opens - timedelta(microseconds=1)) is None
