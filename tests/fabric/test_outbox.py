"""What waits for a link: in order, bounded, and what is given up first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spectra.fabric.outbox import Message, Outbox


def beat(number: int, node: str = "n") -> Message:
    """A heartbeat."""
    return Message(f"spectra.presence.{node}", b"%d" % number)


def answer(number: int) -> Message:
    """What nothing replaces."""
    return Message("spectra.reply.n", b"%d" % number)


def test_order_is_kept_also_for_what_comes_back() -> None:
    """What could not be sent goes first again."""
    box = Outbox()
    for number in range(5):
        box.put(answer(number))
    taken = box.take(3)
    assert taken == [answer(0), answer(1), answer(2)]
    box.put_back(taken[1:])
    assert box.take(10) == [answer(1), answer(2), answer(3), answer(4)]
    assert (box.take(1), len(box), box.dropped()) == ([], 0, 0)


def test_the_oldest_heartbeats_go_first_and_it_is_counted() -> None:
    """Then the oldest of all; nothing new is refused."""
    box = Outbox(max_messages=3)
    for message in (answer(0), beat(1), answer(2), beat(3), answer(4), answer(5)):
        box.put(message)
    assert box.take(10) == [answer(2), answer(4), answer(5)]
    assert (box.dropped(), box.dropped()) == (3, 0)


def test_of_each_nodes_heartbeats_the_newest_is_kept() -> None:
    """Whoever was away for long says what is, once; everything else stays, and in order."""
    box = Outbox(max_bytes=10)
    for message in (beat(0), answer(1), beat(2, "other"), beat(3), answer(4)):
        box.put(message)
    box.keep_newest()
    assert box.take(3) == [answer(1), beat(2, "other"), beat(3)]
    box.put(Message("spectra.reply.n", b"x" * 9))
    assert (len(box), box.dropped()) == (2, 0)
    box.keep_newest()
    assert len(box) == 2


def test_bytes_are_bounded_too() -> None:
    """A message that is larger than the bound is kept alone."""
    box = Outbox(max_bytes=10)
    for size in (4, 4, 4):
        box.put(Message("spectra.reply.n", b"x" * size))
    assert len(box) == 2
    box.put(Message("spectra.reply.n", b"x" * 20))
    assert [len(message.data) for message in box.take(5)] == [20]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=60))
def test_the_bounds_hold_and_what_counts_is_lost_last(steps: list[tuple[bool, int]]) -> None:
    """Against a naive second model: while a heartbeat waits, no answer is dropped for the number of messages."""
    box, waiting, lost = Outbox(max_messages=4), list[Message](), 0
    for number, (is_beat, take) in enumerate(steps):
        message = beat(number) if is_beat else answer(number)
        box.put(message)
        waiting.append(message)
        if len(waiting) > 4:
            beats = [m for m in waiting if "presence" in m.subject]
            waiting.remove((beats or waiting)[0])
            lost += 1
        assert len(box) == len(waiting)
        if take < 2:
            assert box.take(take) == waiting[:take]
            del waiting[:take]
    assert box.take(100) == waiting
    assert box.dropped() == lost
