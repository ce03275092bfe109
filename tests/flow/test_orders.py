"""When jobs may run, by the coordinator's windows and their own."""

from __future__ import annotations

from datetime import UTC, datetime

from spectra.flow.orders import Hours
from spectra.flow.windows import parse_all
from spectra.store.jobs import Windowed


def at(text: str) -> datetime:
    """A moment of Monday, 4 January 2027, in UTC."""
    return datetime.fromisoformat(f"2027-01-04T{text}").replace(tzinfo=UTC)


def test_both_windows_have_to_be_open() -> None:
    """The coordinator's and the job's; the order ends with the first that closes."""
    hours = Hours(parse_all(["08:00-18:00"]))
    assert hours.until(["12:00-20:00"], at("13:00")) == (True, at("18:00"))
    assert hours.until(["10:00-14:00"], at("13:00")) == (True, at("14:00"))
    assert hours.until([], at("13:00")) == (True, at("18:00"))
    assert hours.until(["12:00-20:00"], at("19:00")) == (False, None)
    assert hours.until(["12:00-20:00"], at("09:00")) == (False, None)
    assert Hours(()).until([], at("03:00")) == (True, None)


def test_jobs_that_may_not_run_are_shut() -> None:
    """And are told when they open."""
    hours = Hours(())
    jobs = [Windowed("job-1", ("10:00-11:00",)), Windowed("job-2", ("12:00-13:00", "20:00-21:00"))]
    assert hours.shut(jobs, at("12:30")) == ("job-1",)
    assert hours.opens(jobs[1].windows, at("12:30")) is None
    assert hours.opens(jobs[1].windows, at("14:00")) == at("20:00")
    assert Hours(parse_all(["20:30-22:00"])).opens(jobs[1].windows, at("14:00")) == at("20:30")


def test_a_window_that_cannot_be_read_any_more_is_shut() -> None:
    """Such as of a time zone that this machine does not know: that is no leave to scan at any time."""
    hours = Hours(())
    assert hours.until(["Mon 10:00-11:00 Mars/Olympus"], at("10:30")) == (False, None)
    assert hours.shut([Windowed("job-1", ("Mars/Olympus",))], at("10:30")) == ("job-1",)
