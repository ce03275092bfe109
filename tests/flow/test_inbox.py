"""Tests of spectra.flow.inbox."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from spectra.fabric.messages import MAX_BYTES
from spectra.flow.inbox import EACH_BYTES, Inbox
from spectra.mesh.hearing import Moment

NOW = Moment(1.0, datetime(2026, 11, 27, tzinfo=UTC))


def test_what_comes_is_taken_once_in_the_order_of_each_sender() -> None:
    """With when it came; afterwards the inbox is empty."""
    inbox = Inbox()
    inbox.put("a", b"1", NOW)
    inbox.put("b", b"2", NOW._replace(steady=2.0))
    inbox.put("a", b"3", NOW)
    arrived, dropped = inbox.take()
    assert [one.data for one in arrived if one.subject == "a"] == [b"1", b"3"]
    assert [one.at.steady for one in arrived if one.subject == "b"] == [2.0]
    assert not dropped
    assert inbox.take() == ([], {})


def test_who_talks_without_end_pushes_out_only_itself() -> None:
    """The newest eight of its messages are kept, everybody else's all; what was given up is counted."""
    inbox = Inbox()
    inbox.put("quiet", b"x", NOW)
    for n in range(1000):
        inbox.put("loud", str(n).encode(), NOW)
    arrived, dropped = inbox.take()
    assert [one.data for one in arrived if one.subject == "quiet"] == [b"x"]
    assert [one.data for one in arrived if one.subject == "loud"] == [str(n).encode() for n in range(992, 1000)]
    assert dropped == {"loud": 992}


def test_long_messages_are_cut_and_few() -> None:
    """One byte more than is allowed is kept, so that who reads it sees that it is too long."""
    inbox = Inbox()
    for _ in range(8):
        inbox.put("a", b"x" * (10 * MAX_BYTES), NOW)
    arrived, dropped = inbox.take()
    assert {len(one.data) for one in arrived} == {MAX_BYTES + 1}
    assert len(arrived) * (MAX_BYTES + 1) <= EACH_BYTES
    assert len(arrived) + dropped["a"] == 8


def test_senders_are_bounded() -> None:
    """Whoever is one too many is dropped, and counted."""
    inbox = Inbox(senders=3)
    for name in "abcd":
        inbox.put(name, b"x", NOW)
    arrived, dropped = inbox.take()
    assert "".join(one.subject for one in arrived) == "abc"
    assert dropped == {"d": 1}


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40)), max_size=200),
    st.integers(1, 4),
    st.integers(10, 300),
)
def test_nothing_is_lost_uncounted_and_bounds_hold(said: list[tuple[str, int]], each: int, most_bytes: int) -> None:
    """What came in is either taken or counted; each sender's and all bytes stay below their bounds."""
    inbox = Inbox(each=each, senders=4, most_bytes=most_bytes)
    for subject, size in said:
        inbox.put(subject, b"x" * size, NOW)
    arrived, dropped = inbox.take()
    assert len(arrived) + dropped.total() == len(said)
    assert sum(len(one.data) for one in arrived) <= most_bytes
    for subject in "abcdef":
        sizes = [size for name, size in said if name == subject]
        kept = [len(one.data) for one in arrived if one.subject == subject]
        assert len(kept) <= each
        assert kept == sizes[len(sizes) - len(kept) :] or dropped[subject]
