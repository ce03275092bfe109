"""When a provider that failed is asked again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spectra.ai.gateway.breaker import FAILURES, FIRST_WAIT_S, LONGEST_ASKED_S, LONGEST_WAIT_S, PROBE_S, Breaker


def test_it_opens_after_failures_in_a_row_and_tries_one_request() -> None:
    """Two failures are nothing; after the third it waits, lets one request through, and closes when that succeeds."""
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        assert breaker.allow(100.0)
        breaker.bad(100.0, "answered 503")
    assert breaker.allow(100.0)
    breaker.bad(100.0, "answered 503")
    assert (breaker.open(104.9), breaker.allow(104.9), breaker.why) == (True, False, "answered 503")
    assert breaker.allow(105.0)
    assert not breaker.allow(105.0), "one request goes first"
    breaker.good()
    assert (breaker.allow(105.0), breaker.allow(105.0), breaker.why) == (True, True, "")


def test_each_failed_probe_makes_it_wait_twice_as_long() -> None:
    """Up to a bound."""
    breaker, now, waits = Breaker(), 0.0, list[float]()
    for _ in range(FAILURES):
        breaker.bad(now, "x")
    for _ in range(9):
        waits.append(breaker.until - now)
        now = breaker.until
        assert breaker.allow(now)
        breaker.bad(now, "x")
    assert waits == [min(FIRST_WAIT_S * 2**n, LONGEST_WAIT_S) for n in range(9)]


def test_a_provider_that_says_how_long_is_spared_so_long() -> None:
    """At the first failure already; no longer than an hour."""
    breaker = Breaker()
    breaker.bad(0.0, "asks to be spared (429)", 7.0)
    assert (breaker.allow(6.9), breaker.allow(7.0)) == (False, True)
    breaker.bad(7.0, "asks to be spared (429)", 1e9)
    assert breaker.until == 7.0 + LONGEST_ASKED_S


def test_a_probe_of_which_nothing_is_heard_is_not_waited_for_for_ever() -> None:
    """The next one may go after a while; at once where it ended without telling anything."""
    breaker = Breaker()
    breaker.bad(0.0, "x", 1.0)
    assert (breaker.allow(2.0), breaker.allow(3.0), breaker.allow(2.0 + PROBE_S)) == (True, False, True)
    breaker.unknown()
    assert breaker.allow(2.5 + PROBE_S)


@given(st.lists(st.sampled_from(["good", "bad", "allow", "unknown"]), max_size=40))
def test_it_is_never_shut_for_good(steps: list[str]) -> None:
    """Whatever happened, there is a time at which it lets a request through."""
    breaker, now = Breaker(), 0.0
    for step in steps:
        now += 1.0
        if step == "good":
            breaker.good()
        elif step == "bad":
            breaker.bad(now, "x")
        elif step == "allow":
            breaker.allow(now)
        else:
            breaker.unknown()
    assert breaker.allow(now + LONGEST_WAIT_S + PROBE_S)
