"""Lifetimes: which name counts, what the settings change, and spans of time as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spectra.errors import BadRequest
from spectra.model.lifetimes import BUILT_IN, DAY, HOUR, Lifetimes, later, parse_age, stale_at

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_lifetimes_of_the_documentation() -> None:
    """HTTP is stale after six hours, SSH after a day; what is unknown after a day."""
    assert stale_at("http", T0, Lifetimes()) == T0 + timedelta(hours=6)
    assert stale_at("ssh", T0, Lifetimes()) == T0 + timedelta(hours=24)
    assert stale_at("", T0, Lifetimes()) == T0 + timedelta(hours=24)


@pytest.mark.parametrize("name", ["http", "HTTP", "https", "http-proxy", "https-alt"])
def test_a_web_server_by_any_name_lives_as_long(name: str) -> None:
    """TLS and the variants that tools tell apart change nothing."""
    assert Lifetimes().seconds(name) == 6 * HOUR


def test_a_whole_name_counts_before_its_part() -> None:
    """`ms-sql-s` is itself; `redis` is not `redi` inside TLS."""
    assert Lifetimes().seconds("ms-sql-s") == BUILT_IN["ms-sql-s"]
    assert Lifetimes({"https": 60}).seconds("https") == 60
    assert Lifetimes({"redi": 60}).seconds("redis") == BUILT_IN["redis"]


def test_settings_go_over_what_is_built_in() -> None:
    """A name given replaces that one alone, and the default is for all others."""
    lifetimes = Lifetimes({" HTTP ": 60}, 120)
    assert (lifetimes.seconds("https"), lifetimes.seconds("ssh"), lifetimes.seconds("gopher")) == (60, DAY, 120)
    assert lifetimes.shortest_s == 60
    assert lifetimes.longest_s == 7 * DAY
    assert lifetimes.given == {"http": 60}


def test_names_by_length_say_the_same() -> None:
    """Every name is listed once, with the seconds it has."""
    lifetimes = Lifetimes({"https": 60})
    listed = [(name, seconds) for seconds, names in lifetimes.by_length.items() for name in names]
    assert len(dict(listed)) == len(listed)
    assert all(lifetimes.seconds(name) == seconds for name, seconds in listed)


@pytest.mark.parametrize("seconds", [0, -1, 3651 * DAY])
def test_a_lifetime_is_bounded(seconds: int) -> None:
    """Nothing is stale before it was seen, and nothing lives for ever."""
    with pytest.raises(BadRequest):
        Lifetimes({"http": seconds})
    with pytest.raises(BadRequest):
        Lifetimes(default_s=seconds)


def test_the_end_of_the_calendar() -> None:
    """What would become stale after the year 9999 does so at its end."""
    assert later(datetime(9999, 12, 31, tzinfo=UTC), 7 * DAY).year == 9999


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("24h", DAY), ("7d", 7 * DAY), ("1d12h", 36 * HOUR), ("0s", 0), ("2w", 14 * DAY)]
)
def test_spans_of_time(text: str, seconds: int) -> None:
    """As in the query language, and several in a row."""
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "5y", "-5m", "5m!", "٥m", "999999999w"])
def test_what_is_no_span_of_time(text: str) -> None:
    """The complaint names the field."""
    with pytest.raises(BadRequest) as caught:
        parse_age(text)
    assert caught.value.field == "min_age"
