"""One connection to an XMPP server, from its start to its end. All of it runs on one event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from spectra.act.notify.outlets import OutletError
from spectra.act.notify.text import plain
from spectra.settings.notify import XmppSettings

_DIRECT_TLS_PORT: Final = 5223
_CONNECT_S: Final = 10.0
_CREATED: Final = "created"
_JOIN: Final = ""
_ITSELF, _NEW = 110, 201  # status codes of XEP-0045


class _Client(Protocol):
    """What is used of slixmpp's client, which is imported when it is first needed."""

    boundjid: Any
    transport: Any
    plugin: Any

    def add_event_handler(self, name: str, pointer: Callable[..., Any]) -> None: ...
    def register_plugin(self, plugin: str) -> None: ...
    def connect(self, host: str | None = None, port: int | None = None) -> Any: ...
    def disconnect(self, wait: float = 2.0) -> Any: ...
    def abort(self) -> None: ...
    def cancel_connection_attempt(self) -> None: ...
    def make_message(self, mto: Any, mbody: str, mtype: str) -> Any: ...


class Line:
    """Open it once. `lost` is called when it ends by itself. `refused`: the server did not let us in."""

    def __init__(self, settings: XmppSettings, password: str, *, lost: Callable[[Line], None]) -> None:
        self._settings = settings
        self._lost = lost
        self.refused = False
        self.is_up = False
        self._ended = False
        self._started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting: dict[tuple[str, str], asyncio.Future[str]] = {}  # by target and id: one message has several
        self._client = self._made(password)

    async def open(self) -> None:
        """Connect, encrypt, sign in. Raises `OutletError`."""
        settings = self._settings
        if settings.ca_file is not None and not settings.ca_file.is_file():
            raise OutletError(f"There is no file {settings.ca_file} (notify.xmpp.ca_file).", away=True)
        if settings.host:
            self._client.connect(settings.host, settings.port)
        else:
            self._client.connect()
        try:
            async with asyncio.timeout(_CONNECT_S):
                failed = await self._started
        except TimeoutError as error:
            raise OutletError(f"{self._where} does not answer.", away=True) from error
        if failed:
            raise OutletError(f"{self._where}: {failed}.", away=True)

    async def tell(self, jid: str, message_id: str, text: str) -> str:
        """Send to one account; empty, or the condition (RFC 6120) that the server answered."""
        key = (_bare(jid), message_id)
        answered = self._expect(key)
        try:
            self._write(jid, message_id, text, "chat")
            ping = asyncio.ensure_future(self._ping())
            await asyncio.wait({ping, answered}, return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                await ping
            ping.cancel()
            return answered.result() if answered.done() else ""
        finally:
            self._waiting.pop(key, None)

    async def say(self, room: str, message_id: str, text: str) -> str:
        """Send into a room that was joined; empty, or the condition that it answered."""
        key = (_bare(room), message_id)
        answered = self._expect(key)
        try:
            self._write(room, message_id, text, "groupchat")
            return await answered
        finally:
            self._waiting.pop(key, None)

    async def join(self, room: str, nick: str, password: str) -> str:
        """Enter a room, without its history; empty, or the condition that it answered."""
        from slixmpp import JID

        muc = self._client.plugin["xep_0045"]
        key = (_bare(room), _JOIN)
        joined = self._expect(key)
        try:
            muc.rooms[None].setdefault(JID(room), {})  # of other rooms it tells nothing
            muc.make_join_stanza(JID(room), nick, password=password or None, maxstanzas=0).send()
            answered = await joined
            if answered != _CREATED:
                return answered
            # It did not exist: nobody else gets in before its owner has said how it is to be (XEP-0045 10.1.2).
            form = self._client.plugin["xep_0004"].make_form(ftype="submit")
            await muc.set_room_config(JID(room), form, timeout=_CONNECT_S)
        finally:
            self._waiting.pop(key, None)
        return ""

    def leave(self, room: str, nick: str) -> None:
        """Go out of a room."""
        from slixmpp import JID

        self._client.plugin["xep_0045"].leave_muc(JID(room), nick)

    async def close(self) -> None:
        """End it in good order."""
        self._ended, self.is_up = True, False
        try:
            async with asyncio.timeout(3):
                await self._client.disconnect(wait=1.0)
        except TimeoutError:
            self._client.abort()
        self._forget()

    def cut(self) -> None:
        """End it at once."""
        self.is_up = False
        self._client.cancel_connection_attempt()
        self._client.abort()
        self._forget()

    def _forget(self) -> None:
        """The library leaves the task that writes behind, which lives as long as the loop."""
        writing = getattr(self._client, "_run_out_filters", None)
        if writing is not None:
            writing.cancel()

    # ------------------------------------------------------------------------------------------------------------------

    @property
    def _where(self) -> str:
        return self._settings.host or self._settings.jid.rpartition("@")[2]

    def _made(self, password: str) -> _Client:
        from slixmpp import ClientXMPP

        # At its finest level the library logs what it sends, passwords among it.
        logging.getLogger("slixmpp").setLevel(max(logging.WARNING, logging.getLogger("spectra").getEffectiveLevel()))
        client = ClientXMPP(self._settings.jid, password, loop=asyncio.get_running_loop())
        client.enable_plaintext = False
        if self._settings.host:
            client.enable_direct_tls = self._settings.port == _DIRECT_TLS_PORT
            client.enable_starttls = not client.enable_direct_tls
        if self._settings.ca_file is not None:
            client.ca_certs = self._settings.ca_file
        client.auto_authorize = False  # who asks to see our presence is not answered: there is none
        client.auto_subscribe = False
        known = cast("_Client", client)
        known.register_plugin("xep_0004")
        known.register_plugin("xep_0045")
        known.register_plugin("xep_0199")
        for name, handler in {
            "session_start": self._session,
            "connection_failed": self._unreachable,
            "ssl_invalid_chain": self._distrusted,
            "failed_all_auth": self._not_let_in,
            "no_auth": self._not_let_in,
            "stream_error": self._stream_error,
            "disconnected": self._disconnected,
            "message_error": self._refused_one,
            "groupchat_message": self._reflected,
            "groupchat_presence": self._joined,
            "presence_error": self._not_joined,
        }.items():
            known.add_event_handler(name, handler)
        return known

    def _write(self, to: str, message_id: str, text: str, kind: str) -> None:
        from slixmpp import JID
        from slixmpp.jid import InvalidJID

        try:
            stanza = self._client.make_message(mto=JID(to), mbody=text, mtype=kind)
        except InvalidJID:
            self._answer((_bare(to), message_id), "jid-malformed")
            return
        stanza["id"] = message_id
        stanza.send()

    async def _ping(self) -> None:
        """Returns once the server has worked on all that was sent before; any answer says that."""
        from slixmpp.exceptions import IqError

        try:
            await self._client.plugin["xep_0199"].send_ping(self._client.boundjid.domain, timeout=None)
        except IqError:
            return

    def _expect(self, key: tuple[str, str]) -> asyncio.Future[str]:
        if not self.is_up:
            raise OutletError(f"{self._where}: the connection is lost.", away=True)
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        return future

    def _answer(self, key: tuple[str, str], condition: str) -> None:
        future = self._waiting.get(key)
        if future is not None and not future.done():
            future.set_result(condition)

    def _start(self, failed: str) -> None:
        if not self._started.done():
            self._started.set_result(failed)

    # What the library tells ------------------------------------------------------------------------------------------

    def _session(self, _: object) -> None:
        if self._client.transport is None or self._client.transport.get_extra_info("ssl_object") is None:
            self._start("it does not encrypt")  # no mechanism would have been taken without TLS; held twice
            self.cut()
            return
        self.is_up = True
        self._start("")

    def _unreachable(self, error: object) -> None:
        self._start(f"it cannot be reached, {plain(str(error), 200)}")

    def _distrusted(self, error: object) -> None:
        self._start(f"its certificate does not hold, {plain(str(getattr(error, 'verify_message', error)), 200)}")
        self.cut()

    def _not_let_in(self, _: object = None) -> None:
        self.refused = True
        self._start("it does not let us in: is the password right?")

    def _stream_error(self, error: Any) -> None:
        self._start(plain(str(error["condition"]), 100))

    def _disconnected(self, _: object) -> None:
        was_up, self.is_up = self.is_up, False
        # Why it was is told in the same turn of the loop, or has been.
        asyncio.get_running_loop().call_later(0.1, self._start, "the connection was closed")
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(OutletError(f"{self._where}: the connection is lost.", away=True))
        if was_up and not self._ended:
            self._lost(self)

    def _refused_one(self, message: Any) -> None:
        self._answer(_key(message), str(message["error"]["condition"]))

    def _reflected(self, message: Any) -> None:
        self._answer(_key(message), "")

    def _joined(self, presence: Any) -> None:
        codes = presence["muc"]["status_codes"]
        if _ITSELF in codes and presence["type"] != "unavailable":
            self._answer((str(presence["from"].bare), _JOIN), _CREATED if _NEW in codes else "")

    def _not_joined(self, presence: Any) -> None:
        self._answer((str(presence["from"].bare), _JOIN), str(presence["error"]["condition"]))


def _bare(jid: str) -> str:
    """As servers write it: outlets keep theirs in small letters."""
    return jid.lower()


def _key(message: Any) -> tuple[str, str]:
    return str(message["from"].bare), str(message["id"])
