"""A link to the mesh, whatever carries it: NATS for full nodes, MQTT for headless ones.

A link never gives up: it connects again for ever, with a pause that grows to half a minute. What is published while it
is away waits in a bounded queue (`outbox.py`). All of it may be called from any thread. What a callback gets runs on
the link's own thread, and holds up what comes after it.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from spectra.fabric.errors import MeshError

MAX_DATA_BYTES: Final = 512 * 1024
"""Of one message; the broker's own bound (natsconfig) is above it."""

CONNECT_TIMEOUT_S: Final = 15.0
"""For TCP, TLS and the broker's welcome together: a busy board takes seconds for a handshake."""

CLOSE_TIMEOUT_S: Final = 5.0
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0

Receive = Callable[[str, bytes], None]
"""Gets the subject and the data of a message."""

OnError = Callable[[MeshError], None]
"""Hears what went wrong: `refused`, `unreachable`, `overflow`, `mesh`; never more than the link lives through."""

OnChange = Callable[[bool], None]
"""Hears True when the link is up (subscriptions made), False when it broke."""

_RANDOM = random.SystemRandom()


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of a node: its certificate with what leads to the root, its key, and the roots it trusts."""

    cert: Path
    key: Path
    roots: Path

    def context(self) -> ssl.SSLContext:
        """For a connection to a broker: TLS 1.3, its certificate by our roots and for the name we call it by.

        Raises `MeshError` where a file is absent or does not fit.
        """
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.roots)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_cert_chain(self.cert, self.key)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise MeshError(f"cannot use the certificate {self.cert}: {error}.") from error
        return context


class Link(Protocol):
    """What both links can do."""

    @property
    def connected(self) -> bool:
        """Whether the broker has welcomed us and nothing broke since."""
        ...

    def publish(self, subject: str, data: bytes) -> None:
        """Send, or queue while the link is away. Nobody confirms it: who needs to know asks for an answer.

        Where the queue is full the oldest presence message gives way, else the oldest of all, and `on_error` hears
        `overflow`; after `close`, nothing is sent. Raises `MeshError("too_large")` for more than `MAX_DATA_BYTES`.
        """
        ...

    def subscribe(self, subject: str, receive: Receive, *, queue: str = "") -> None:
        """Hear a subject, which may hold wildcards, from now on and after each reconnection.

        Of all that subscribe to it with the same `queue`, one hears each message. Raises `MeshError` for a queue where
        the link knows none: MQTT 3.1.1.
        """
        ...

    def reload(self) -> None:
        """Connect again with the certificate that is in the files now. Does not wait."""
        ...

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Send what waits, say good-bye and end the thread, within `timeout_s`. Closing twice is harmless."""
        ...


def pause(failures: int) -> float:
    """Seconds before the next attempt to connect after so many in a row failed: doubling, +-50 %, bounded.

    The spread keeps a thousand nodes from coming back in the same second.
    """
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 20))
    return longest * _RANDOM.uniform(0.5, 1.5)
