"""XMPP: one account, one connection that is kept, on an event loop of its own; to people and into rooms.

Never without TLS and a certificate that holds (RFC 6120, 7590). A message has arrived once the account's server has
taken it: a stanza that was written to a socket may still be lost with the server. Stanzas of a stream are worked on in
their order, so the answer to a ping (XEP-0199) sent behind a message says that the server has had it; a room
(XEP-0045) sends each message back to who wrote it. A message's id is the notification's, each time it is sent.

No presence is needed: of who is away, the server keeps what is sent to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import TimeoutError as LateError
from typing import Any, Final, TypeVar

from spectra.act.notify.outlets import OutletError, OutletRefused
from spectra.act.notify.text import body
from spectra.act.notify.xmppline import Line
from spectra.model.alerts import Message
from spectra.settings.notify import XmppSettings
from spectra.store.outlets import Outlet

_log = logging.getLogger("spectra.notify")
T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_ROOM_IDLE_S: Final = 3600.0
"""A room that nothing was said in for so long is left."""
_FINAL: Final = frozenset({"jid-malformed", "bad-request", "gone"})
"""What is wrong with a message or its target for good (RFC 6120 8.3.3)."""


class Xmpp:
    """Sends by the account of the settings. `back` is called, on a thread of its own, once a connection that was lost
    or could not be made is there again.
    """

    def __init__(
        self,
        settings: XmppSettings,
        *,
        password: Callable[[], str],
        origin: str = "",
        timeout_s: float = 20.0,
        back: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._password = password
        self._origin = origin
        self._timeout_s = timeout_s
        self._back = back
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        # Of the loop's thread:
        self._line: Line | None = None
        self._connecting: asyncio.Lock | None = None
        self._returning: asyncio.Task[None] | None = None
        self._rooms: dict[str, float] = {}

    def lacks(self) -> str:
        """Empty, or that there is no account."""
        return "" if self._settings.jid else "This node has no XMPP account: set notify.xmpp.jid and password."

    def send(self, outlet: Outlet, message: Message) -> None:
        """Returns once the server, or the room, has taken it; raises `OutletError`."""
        self._wait_for(self._deliver(outlet, message), self._timeout_s + 2)

    def close(self) -> None:
        """Leave rooms, end the connection and the thread."""
        with self._starting:
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        with contextlib.suppress(LateError, OutletError):
            asyncio.run_coroutine_threadsafe(self._leave(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)

    # From other threads ----------------------------------------------------------------------------------------------

    def _wait_for(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        try:
            loop = self._running()
        except OutletError:
            work.close()
            raise
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result(timeout_s)
        except (LateError, TimeoutError) as error:
            future.cancel()
            raise OutletError(f"{self._server} took too long.", away=True) from error

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._closed:
                raise OutletError("This node ends.", away=True)
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._run, args=[self._loop], name="spectra-xmpp", daemon=True)
                self._thread.start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        self._connecting = asyncio.Lock()
        try:
            loop.run_forever()
        finally:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.close()

    # On the loop -----------------------------------------------------------------------------------------------------

    @property
    def _server(self) -> str:
        return self._settings.jid.rpartition("@")[2] or "The XMPP server"

    async def _deliver(self, outlet: Outlet, message: Message) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                line = await self._connected()
                text = body(message, self._origin)
                if outlet.kind == "xmpp-room":
                    await self._within(self._to_room(line, outlet, message.id, text), outlet.target)
                else:
                    _check(await line.tell(outlet.target, message.id, text), outlet.target)
        except TimeoutError as error:
            if self._line is not None:
                self._line.cut()  # it does not answer: whatever is at its other end, it is no server
            raise OutletError(f"{self._server} took too long.", away=True) from error

    async def _within(self, work: Coroutine[Any, Any, None], room: str) -> None:
        """A room that does not answer is no reason to end the connection."""
        try:
            async with asyncio.timeout(self._timeout_s / 3):
                await work
        except TimeoutError as error:
            raise OutletError(f"{room} does not answer.") from error

    async def _to_room(self, line: Line, outlet: Outlet, message_id: str, text: str) -> None:
        room = outlet.target
        for last in (False, True):
            if room not in self._rooms:
                refused = await line.join(room, self._settings.nick, outlet.secret)
                if refused:
                    raise OutletError(f"{room} does not let us in: {refused}.")
            self._rooms[room] = time.monotonic()
            refused = await line.say(room, message_id, text)
            if refused and not last:  # nobody tells an occupant reliably that it is none any more
                del self._rooms[room]
                continue
            _check(refused, room)
            break
        until = time.monotonic() - _ROOM_IDLE_S
        for idle in [one for one, used in self._rooms.items() if used < until]:
            del self._rooms[idle]
            line.leave(idle, self._settings.nick)

    async def _connected(self) -> Line:
        """The connection, made where there is none. Raises `OutletError`, and then goes on trying by itself."""
        if self._connecting is None:
            raise OutletError("XMPP was not started.", away=True)
        async with self._connecting:
            if self._line is not None and self._line.is_up:
                return self._line
            self._rooms.clear()
            line = Line(self._settings, self._password(), lost=self._lost)
            try:
                await line.open()
            except OutletError:
                line.cut()
                if not line.refused:  # whoever is not let in would be locked out by trying on and on
                    self._return_later()
                raise
            except BaseException:
                line.cut()
                raise
            self._line = line
            return line

    def _lost(self, line: Line) -> None:
        """A connection has ended that nobody ended."""
        if line is self._line:
            self._line = None
            _log.warning("XMPP: the connection is lost; it is made again")
            self._return_later()

    def _return_later(self) -> None:
        if self._closed or (self._returning is not None and not self._returning.done()):
            return
        self._returning = asyncio.ensure_future(self._return())

    async def _return(self) -> None:
        """Try until the server is there again, and say so."""
        pause = _FIRST_PAUSE_S
        while not self._closed:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            try:
                async with asyncio.timeout(self._timeout_s):
                    line = await self._connected()
            except (OutletError, TimeoutError) as error:
                _log.debug("XMPP: %s", error)
                continue
            if line.is_up:
                break
        if not self._closed:
            threading.Thread(target=self._back, name="spectra-xmpp-back", daemon=True).start()

    async def _leave(self) -> None:
        if self._returning is not None:
            self._returning.cancel()
        line, self._line = self._line, None
        if line is not None:
            for room in self._rooms:
                line.leave(room, self._settings.nick)
            await line.close()


def _check(refused: str, target: str) -> None:
    """Raise where a server or a room did not take a message; `refused` is the condition it named."""
    if refused:
        kind = OutletRefused if refused in _FINAL else OutletError
        raise kind(f"{target} was not reached: {refused}.")
