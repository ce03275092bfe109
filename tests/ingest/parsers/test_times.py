"""The times scanners write."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.ingest.parsers.times import instant


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (1700000000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (1700000000.5, datetime(2023, 11, 14, 22, 13, 20, 500000, tzinfo=UTC)),
        ("2026-07-31T19:38:54.433676514Z", datetime(2026, 7, 31, 19, 38, 54, 433677, tzinfo=UTC)),
        ("2021-05-20T11:12:02+03:00", datetime(2021, 5, 20, 8, 12, 2, tzinfo=UTC)),
        ("2024-01-02 03:04:05", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("NORMALISED", None),
        ("nan", None),
        ("inf", None),
        ("1e308", None),
        ("9" * 80, None),
        (0, None),
        (10**400, None),
        (None, None),
    ],
)
def test_forms_of_time(value: str | float | None, expected: datetime | None) -> None:
    """RFC 3339 and seconds since 1970, in UTC; Go's zero time and numbers out of range are no time."""
    assert instant(value) == expected


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none()))
def test_any_value_is_a_time_in_utc_or_none(value: str | float | None) -> None:
    """Nothing raises, and what comes is aware and within the bounds."""
    found = instant(value)
    assert found is None or (found.tzinfo is UTC and 1980 <= found.year < 2100)
