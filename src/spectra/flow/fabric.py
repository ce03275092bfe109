"""Keeps the configuration of nats-server true to the store: who may connect, and what each may say.

A change shows at once where this coordinator made it (`wake`), and within two seconds where another did. However many
changes there are, the server is told at most once a second.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from spectra.errors import SpectraError
from spectra.flow.waking import Waking
from spectra.store import nodes
from spectra.store.database import Database
from spectra.store.nodes import Member

_log = logging.getLogger("spectra.mesh")

LOOK_S: Final = 2.0
LEAST_S: Final = 1.0
"""Between two reloads."""
_PAUSE_S: Final = 2.0  # after trouble
_MOST_BYTES: Final = 1024 * 1024  # of a file that is watched

_EVER: Final = datetime.max.replace(tzinfo=UTC)
_NEVER: Final = (_EVER, _EVER)

Render = Callable[[Sequence[Member]], str]


class Server(Protocol):
    """What is kept: `engines.nats.NatsServer`."""

    def reload(self, config: str, /) -> None:
        """Go on with this configuration; who may not connect any more is dropped. Raises `SpectraError`."""
        ...


class FabricKeeper(Waking):
    """Tells the server when members, their standings, their certificates' ends or the files it reads changed.

    Who wakes it has the server told at once, or a second after it was told last. Once stopped, the server goes on with
    what it was told.

    `watched` are files that the configuration names (certificate, key, roots): the server reads them when it is told.
    `grace` is how long a node may be a member after its certificate ended: until then it may renew.
    """

    def __init__(
        self,
        database: Database,
        server: Server,
        render: Render,
        *,
        clock: Callable[[], datetime],
        watched: Sequence[Path] = (),
        grace: timedelta = timedelta(0),
        least_s: float = LEAST_S,
    ) -> None:
        self._database = database
        self._server = server
        self._render = render
        self._clock = clock
        self._watched = watched
        self._grace = grace
        self._least_s = least_s
        super().__init__("spectra-fabric")
        self._version: int | None = None
        self._members: tuple[Member, ...] = ()
        self._rendered = ""
        self._holds: tuple[datetime, datetime] = _NEVER
        """From when until when what was rendered is right, by the ends of certificates."""
        self._told = ""
        self.reloads = 0
        """How often the server was told."""

    def config(self) -> str:
        """The configuration as of now, for the server's start. What is the same afterwards is not told again."""
        text = self._text()
        self._told = self._mark(text)
        return text

    def look(self) -> bool:
        """Tell the server, where anything changed; whether it was told. Raises `SpectraError`."""
        text = self._text()
        mark = self._mark(text)
        if mark == self._told:
            return False
        began = time.monotonic()
        self._server.reload(text)
        self._told = mark
        self.reloads += 1
        took = time.monotonic() - began
        _log.info("fabric: members are told", extra={"spectra.members": len(self._members), "spectra.took_s": took})
        return True

    def _text(self) -> str:
        """Rendered anew where the store says that members changed, and when the certificate of one ended by the clock
        (or did not, where the clock was set back): with ten thousand of them that takes a while.
        """
        version, ended = nodes.version(self._database), self._clock() - self._grace
        if version != self._version:
            self._members = nodes.members(self._database)
        elif self._holds[0] <= ended < self._holds[1]:
            return self._rendered
        members = [m for m in self._members if m.not_after is None or m.not_after > ended]
        self._rendered = self._render(members)
        self._holds = ended, min((m.not_after for m in members if m.not_after is not None), default=_EVER)
        self._version = version
        return self._rendered

    def _mark(self, text: str) -> str:
        """Another one for another configuration, or other contents of the files it names."""
        digest = hashlib.sha256(text.encode())
        for path in self._watched:
            digest.update(_contents(path))
        return digest.hexdigest()

    def _run(self) -> None:
        pause = LOOK_S
        while not self._stop.is_set():
            self._awake.wait(pause)
            self._awake.clear()
            if self._stop.is_set():
                return
            pause = LOOK_S
            try:
                if self.look():
                    self._stop.wait(self._least_s)  # what changes meanwhile is the next reload
            except SpectraError as error:
                _log.warning("fabric: members not told: %s", error.message, extra={"error.type": error.reason})
                pause = _PAUSE_S
            except Exception:  # noqa: BLE001 - whoever was a member stays one; a later look may do
                _log.exception("fabric: members not told")
                pause = _PAUSE_S


def _contents(path: Path) -> bytes:
    """The hash of a file; of one that is not there, nothing's."""
    try:
        with path.open("rb") as file:
            return hashlib.sha256(file.read(_MOST_BYTES)).digest()
    except OSError:
        return b"-" * 32
