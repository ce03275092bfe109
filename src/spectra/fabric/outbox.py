"""What waits to be sent: bounded, and what is lost first is what the next message replaces anyway."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from spectra.fabric.subjects import is_presence

MAX_MESSAGES: Final = 1000
MAX_BYTES: Final = 8 * 1024 * 1024


class Message(NamedTuple):
    """A message that waits; `tries`: how many connections broke before it was acknowledged."""

    subject: str
    data: bytes
    tries: int = 0


class Outbox:
    """A queue for many writers and one reader. Where it is full, the oldest heartbeat goes, else the oldest of all."""

    def __init__(self, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._guard = threading.Lock()
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message) -> None:
        """Queue a message, whatever has to go for it."""
        with self._guard:
            self._waiting.append(message)
            self._bytes += len(message.data)
            self._shrink()

    def put_back(self, messages: Sequence[Message]) -> None:
        """What could not be sent waits again, before what came later."""
        with self._guard:
            self._waiting.extendleft(reversed(messages))
            self._bytes += sum(len(message.data) for message in messages)
            self._shrink()

    def take(self, count: int) -> list[Message]:
        """The next messages, at most `count`."""
        with self._guard:
            taken = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
            self._bytes -= sum(len(message.data) for message in taken)
            return taken

    def keep_newest(self) -> None:
        """Of each node's heartbeats: what it said an hour ago is of no use, and not counted as given up."""
        with self._guard:
            said: set[str] = set()
            kept: deque[Message] = deque()
            for message in reversed(self._waiting):
                if message.subject not in said:
                    kept.appendleft(message)
                if is_presence(message.subject):
                    said.add(message.subject)
            self._waiting, self._bytes = kept, sum(len(message.data) for message in kept)

    def dropped(self) -> int:
        """How many were given up since this was asked last."""
        with self._guard:
            count, self._dropped = self._dropped, 0
            return count

    def _shrink(self) -> None:
        while len(self._waiting) > self._max_messages or (self._bytes > self._max_bytes and len(self._waiting) > 1):
            oldest = next((at for at, message in enumerate(self._waiting) if is_presence(message.subject)), 0)
            self._bytes -= len(self._waiting[oldest].data)
            del self._waiting[oldest]
            self._dropped += 1
