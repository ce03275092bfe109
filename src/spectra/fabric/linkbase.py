"""What both links have in common: a thread that connects for ever, a queue, subscriptions that outlive connections."""

from __future__ import annotations

import logging
import re
import threading
import time
from abc import ABC, abstractmethod
from typing import Final

from spectra.fabric.errors import MeshError
from spectra.fabric.link import CLOSE_TIMEOUT_S, MAX_DATA_BYTES, OnChange, OnError, Receive, TlsFiles, pause
from spectra.fabric.outbox import Message, Outbox

_log = logging.getLogger(__name__)

SUBSCRIBE_AGAIN_S: Final = 60.0
"""How often subscriptions are made again: a broker drops them silently from who may hear less for a while."""

_SUBJECT: Final = re.compile(r"[\w$-]+(\.[\w$-]+)*", re.ASCII)
_QUEUE: Final = re.compile(r"[\w-]+", re.ASCII)
_PATTERN: Final = re.compile(r"([\w$-]+|\*)(\.([\w$-]+|\*))*(\.>)?|>", re.ASCII)
_STEADY_S: Final = 10.0  # a connection that broke sooner counts as one that failed


class LinkBase(ABC):
    """The thread and the state of a link; what carries it is `_serve`'s to know."""

    def __init__(self, tls: TlsFiles, name: str, on_error: OnError, on_change: OnChange | None) -> None:
        self._tls = tls
        self._name = name
        self._on_error = on_error
        self._on_change = on_change
        self._guard = threading.Lock()
        self._subscriptions: dict[str, Receive] = {}
        self._queues: dict[str, str] = {}
        self._outbox = Outbox()
        self._closing = False
        self._reloading = False
        self._interrupted = threading.Event()
        self._connected_at: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"link-{name}", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the broker has welcomed us and nothing broke since."""
        return self._connected_at is not None

    def publish(self, subject: str, data: bytes) -> None:
        """See `link.Link`."""
        _require_plain(_SUBJECT, subject)
        if len(data) > MAX_DATA_BYTES:
            raise MeshError(f"a message may have {MAX_DATA_BYTES} bytes at most.", reason="too_large")
        if not self._closing:
            self._outbox.put(Message(subject, data))
            self._wake()

    def subscribe(self, subject: str, receive: Receive, *, queue: str = "") -> None:
        """See `link.Link`; a second receiver of the same subject takes the first one's place."""
        _require_plain(_PATTERN, subject)
        if queue:
            _require_plain(_QUEUE, queue)
        with self._guard:
            self._subscriptions[subject] = receive
            self._queues[subject] = queue
        self._wake()

    def reload(self) -> None:
        """See `link.Link`."""
        self._reloading = True
        self._interrupted.set()
        self._wake()

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """See `link.Link`."""
        self._closing = True
        self._interrupted.set()
        self._wake()
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join(timeout_s)

    @property
    def _stopping(self) -> bool:
        """Whether the present connection is to be ended."""
        return self._closing or self._reloading

    @abstractmethod
    def _wake(self) -> None:
        """Have the link's thread look at the queue, the subscriptions and the flags. From any thread."""

    @abstractmethod
    def _serve(self) -> None:
        """Connect and carry messages until the connection breaks or is to be ended.

        Raises `MeshError` where the broker cannot be reached or refuses us.
        """

    def _run(self) -> None:
        failures = 0
        while not self._closing:
            self._interrupted.clear()
            self._reloading = False
            self._outbox.keep_newest()
            try:
                self._serve()
            except MeshError as error:
                self._tell(error)
            except Exception as error:  # noqa: BLE001 - a link never gives up
                _log.exception("the link of %s broke in a way nobody foresaw", self._name)
                self._tell(MeshError(f"the link broke: {error}."))
            steady = self._connected_at is not None and time.monotonic() - self._connected_at >= _STEADY_S
            failures = 0 if steady else failures + 1
            self._changed(False)
            self._tell_dropped()
            if not self._closing:
                self._interrupted.wait(pause(failures - 1 if failures else 0))

    def _receivers(self) -> dict[str, Receive]:
        with self._guard:
            return dict(self._subscriptions)

    def _deliver(self, receive: Receive, subject: str, data: bytes) -> None:
        """To the receiver, whose errors end neither the link nor the next message."""
        try:
            receive(subject, data)
        except Exception as error:  # noqa: BLE001
            _log.exception("a receiver of %s failed", subject)
            self._tell(MeshError(f"a receiver of {subject} failed: {error}."))

    def _changed(self, connected: bool) -> None:
        if connected == self.connected:
            return
        self._connected_at = time.monotonic() if connected else None
        if self._on_change is not None:
            self._guarded(self._on_change, connected)

    def _tell(self, error: MeshError) -> None:
        self._guarded(self._on_error, error)

    def _tell_dropped(self) -> None:
        """On the link's own thread: who publishes may hold what `on_error` wants."""
        if count := self._outbox.dropped():
            self._tell(MeshError(f"{count} messages that waited for the link were given up.", reason="overflow"))

    def _guarded(self, callback: OnError | OnChange, value: object) -> None:
        try:
            callback(value)  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001
            _log.exception("a callback of the link of %s failed", self._name)


def _require_plain(pattern: re.Pattern[str], subject: str) -> None:
    """What neither protocol could carry would stop the queue."""
    if len(subject) > 250 or pattern.fullmatch(subject) is None:
        raise MeshError(f"{subject[:60]!a} is no subject.")
