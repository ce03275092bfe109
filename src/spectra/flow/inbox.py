"""What came over the fabric and was not looked at yet: bounded, and fair to every sender.

One queue for all would let one node that talks without end push out the heartbeats of the others. Here each sender has
a short queue of its own, in which only its own older messages make room for newer ones.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Final, NamedTuple

from spectra.fabric.messages import MAX_BYTES
from spectra.mesh.hearing import Moment

EACH: Final = 8
"""Messages of one sender that wait at once. Between two looks, half a second apart, nobody has reason to send more."""
EACH_BYTES: Final = 2 * MAX_BYTES
MOST_BYTES: Final = 32 * 1024 * 1024
SENDERS: Final = 20_000
OTHERS: Final = "others"
"""Who is counted where more senders were dropped than are told apart."""


class Arrived(NamedTuple):
    """A message, and when it came."""

    subject: str
    data: bytes
    at: Moment


class _Sender:
    """The queue of one subject."""

    __slots__ = ("bytes", "queue")

    def __init__(self) -> None:
        self.queue: deque[Arrived] = deque()
        self.bytes = 0


class Inbox:
    """Filled on the link's thread, emptied on another. Neither waits for the other for longer than it takes."""

    def __init__(self, *, each: int = EACH, senders: int = SENDERS, most_bytes: int = MOST_BYTES) -> None:
        self._each = each
        self._most_senders = senders
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._senders: dict[str, _Sender] = {}
        self._bytes = 0
        self._dropped: Counter[str] = Counter()

    def put(self, subject: str, data: bytes, at: Moment) -> None:
        """Take a message in. Of one that is too long, enough is kept to see that it is."""
        arrived = Arrived(subject, data if len(data) <= MAX_BYTES else data[: MAX_BYTES + 1], at)
        with self._lock:
            sender = self._senders.get(subject)
            if sender is None:
                if len(self._senders) >= self._most_senders:
                    self._drop(subject)
                    return
                sender = self._senders[subject] = _Sender()
            sender.queue.append(arrived)
            sender.bytes += len(arrived.data)
            self._bytes += len(arrived.data)
            while len(sender.queue) > self._each or sender.bytes > EACH_BYTES or self._bytes > self._most_bytes:
                self._forget(sender)

    def take(self) -> tuple[list[Arrived], Counter[str]]:
        """Everything that waits, each sender's in order, and how many of whose messages were given up."""
        with self._lock:
            senders, self._senders, self._bytes = self._senders, {}, 0
            dropped, self._dropped = self._dropped, Counter()
        return [arrived for sender in senders.values() for arrived in sender.queue], dropped

    def _forget(self, sender: _Sender) -> None:
        """Give the oldest message of a sender up."""
        oldest = sender.queue.popleft()
        sender.bytes -= len(oldest.data)
        self._bytes -= len(oldest.data)
        self._drop(oldest.subject)

    def _drop(self, subject: str) -> None:
        known = subject in self._dropped or len(self._dropped) < self._most_senders
        self._dropped[subject if known else OTHERS] += 1
