"""The link of full nodes and of the coordinator: NATS over mutual TLS.

The client library's own reconnecting is not used: it keeps the certificate it began with, and gives up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from spectra.fabric.errors import MeshError, Unreachable
from spectra.fabric.link import CLOSE_TIMEOUT_S, CONNECT_TIMEOUT_S, OnChange, OnError, Receive, TlsFiles
from spectra.fabric.linkbase import SUBSCRIBE_AGAIN_S, LinkBase
from spectra.fabric.outbox import Message

_PING_S: Final = 15
_FLUSH_TIMEOUT_S: Final = 20
_ABORTED_S: Final = 0.1  # after a failed handshake the library waits for the end of a stream that had none
_BATCH: Final = 200
_PENDING_MESSAGES: Final = 8192
_PENDING_BYTES: Final = 32 * 1024 * 1024
_DENIED: Final = 'permissions violation for subscription to "'


class _NoFalseAlarm(logging.Filter):
    """The client library makes its TLS streams in a way that asyncio remarks on at each end of a connection."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("returning true from eof_received()")


logging.getLogger("asyncio").addFilter(_NoFalseAlarm())


class NatsLink(LinkBase):
    """A link to one of `urls` (`tls://host:port`), tried in turn. See `link.Link`; it connects by itself."""

    def __init__(
        self, urls: Sequence[str], tls: TlsFiles, name: str, on_error: OnError, *, on_change: OnChange | None = None
    ) -> None:
        super().__init__(tls, name, on_error, on_change)
        self._urls = list(urls)
        self._next = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken: asyncio.Event | None = None
        self._ended: asyncio.Event | None = None
        self._made: dict[str, tuple[Receive, Subscription]] = {}
        self._denied: set[str] = set()
        """In lower case, as the client library tells them."""

        self._why: Exception | None = None
        self._thread.start()

    def _wake(self) -> None:
        loop, woken = self._loop, self._woken
        if loop is not None and woken is not None:
            with contextlib.suppress(RuntimeError):  # that connection's loop is closed already
                loop.call_soon_threadsafe(woken.set)

    def _serve(self) -> None:
        context = self._tls.context()
        url = self._urls[self._next % len(self._urls)]
        self._next += 1
        asyncio.run(self._connection(url, context))

    async def _connection(self, url: str, context: ssl.SSLContext) -> None:
        """One connection, from its first byte to its last."""
        self._woken, self._ended, self._loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
        self._made, self._denied, self._why = {}, set(), None
        client, grace_s = Client(), CLOSE_TIMEOUT_S
        try:
            if await self._connect(client, url, context):
                self._next -= 1  # the one that served is tried first
                await self._carry(client)
        except BaseException:
            _abort(client)
            grace_s = _ABORTED_S
            raise
        finally:
            self._loop = None
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), grace_s)

    async def _connect(self, client: Client, url: str, context: ssl.SSLContext) -> bool:
        """Whether the broker welcomed us; False when the link is to be ended meanwhile."""
        connecting = asyncio.ensure_future(
            client.connect(
                servers=[url],
                tls=context,
                name=self._name,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # 0 would be for ever
                reconnect_time_wait=0,
                connect_timeout=int(CONNECT_TIMEOUT_S),
                ping_interval=_PING_S,
                max_outstanding_pings=2,
                error_cb=self._heard_error,
                closed_cb=self._heard_end,
                disconnected_cb=self._heard_end,
            )
        )
        ending = asyncio.ensure_future(self._ended_early())
        try:
            await asyncio.wait({connecting, ending}, timeout=CONNECT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                connecting.result()
                _require_tls(client, url)
                return True
        except (OSError, ValueError, nats.errors.Error) as error:
            raise _failed(url, self._why or error) from error
        finally:
            for task in (connecting, ending):
                task.cancel()
            await asyncio.wait({connecting, ending}, timeout=CLOSE_TIMEOUT_S)
        if self._stopping:
            return False
        raise Unreachable(f"{url} does not answer within {CONNECT_TIMEOUT_S:.0f} s.")

    async def _ended_early(self) -> None:
        """Ends when the link is to be ended while it still connects."""
        assert self._woken is not None
        while not self._stopping:
            await self._woken.wait()
            self._woken.clear()

    async def _carry(self, client: Client) -> None:
        """Send what waits and hear what was subscribed to, until the connection ends."""
        assert self._woken is not None
        again = time.monotonic() + SUBSCRIBE_AGAIN_S
        try:
            while client.is_connected:
                self._woken.clear()
                await self._subscribe(client)
                self._changed(True)
                self._tell_dropped()
                while await self._send(client):
                    pass
                if self._stopping:
                    return
                with contextlib.suppress(TimeoutError):  # the library tells late of a broker that stopped answering
                    await asyncio.wait_for(self._woken.wait(), min(_PING_S, max(0.0, again - time.monotonic())))
                if time.monotonic() >= again:
                    again = time.monotonic() + SUBSCRIBE_AGAIN_S
                    await self._forget_denied()
        except (OSError, nats.errors.Error) as error:
            raise Unreachable(f"the connection to the mesh broke: {self._why or error}.") from error
        raise Unreachable(f"the connection to the mesh broke: {self._why or 'no answer'}.")

    async def _subscribe(self, client: Client) -> None:
        """Make the subscriptions that are not made; return when the broker has them."""
        new = False
        for subject, receive in self._receivers().items():
            made = self._made.get(subject)
            if made is not None and made[0] is receive:
                continue
            if made is not None:
                await made[1].unsubscribe()
            subscription = await client.subscribe(  # pyright: ignore[reportUnknownMemberType] - its `future`
                subject,
                queue=self._queues[subject],
                cb=self._receiver(receive),
                pending_msgs_limit=_PENDING_MESSAGES,
                pending_bytes_limit=_PENDING_BYTES,
            )
            self._made[subject] = (receive, subscription)
            new = True
        if new:
            await self._flush(client)

    async def _forget_denied(self) -> None:
        """What the broker refused, or took back, is subscribed to again."""
        for subject in [subject for subject in self._made if subject.lower() in self._denied]:
            await self._made.pop(subject)[1].unsubscribe()
        self._denied.clear()

    def _receiver(self, receive: Receive) -> Callable[[Msg], Awaitable[None]]:
        async def received(message: Msg) -> None:
            self._deliver(receive, message.subject, message.data)

        return received

    async def _send(self, client: Client) -> bool:
        """Send a batch and wait until the broker has it; whether there was one."""
        batch = self._outbox.take(_BATCH)
        if not batch:
            return False
        try:
            for message in batch:
                await self._publish(client, message)
            await self._flush(client)
        except (OSError, nats.errors.Error):
            self._outbox.put_back(batch)
            raise
        return True

    async def _flush(self, client: Client) -> None:
        """Return when the broker has everything so far; the library would wait for one that is gone."""
        assert self._ended is not None
        flushing = asyncio.ensure_future(client.flush(_FLUSH_TIMEOUT_S))
        ending = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({flushing, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not flushing.done():
                raise ConnectionResetError("it ended")
            flushing.result()
        finally:
            for task in (flushing, ending):
                task.cancel()
            await asyncio.wait({flushing, ending})

    async def _publish(self, client: Client, message: Message) -> None:
        try:
            await client.publish(message.subject, message.data)
        except nats.errors.MaxPayloadError:  # an external broker with a smaller bound than ours
            self._tell(MeshError(f"the broker takes no {len(message.data)} bytes.", reason="too_large"))

    async def _heard_error(self, error: Exception) -> None:
        text = str(error)
        if "permissions violation" in text:
            self._tell(MeshError(f"the mesh does not let {self._name} do that: {text}.", reason="refused"))
            if _DENIED in text:
                self._denied.add(text.partition(_DENIED)[2].partition('"')[0])
        elif isinstance(error, nats.errors.SlowConsumerError):
            self._tell(MeshError("messages came faster than they were taken.", reason="overflow"))
        else:
            self._why = error

    async def _heard_end(self) -> None:
        assert self._woken is not None
        assert self._ended is not None
        self._ended.set()
        self._woken.set()


def _writer(client: Client) -> asyncio.StreamWriter | None:
    writer = getattr(getattr(client, "_transport", None), "_io_writer", None)
    return writer if isinstance(writer, asyncio.StreamWriter) else None


def _require_tls(client: Client, url: str) -> None:
    """The library begins TLS only where the other side asks for it, in words that anybody on the way can change."""
    writer = _writer(client)
    if writer is None or writer.get_extra_info("ssl_object") is None:
        raise MeshError(f"{url} is not a broker of this mesh: it asks for no TLS.", reason="untrusted")


def _abort(client: Client) -> None:
    """Drop the connection without TLS's good-bye: the library would wait half a minute for the other side's."""
    if (writer := _writer(client)) is not None:
        writer.transport.abort()


def _failed(url: str, error: Exception) -> MeshError:
    """Why there is no connection: whether we are not let in, do not trust the other side, or nobody is there."""
    text = (str(error) or type(error).__name__).rstrip(".")
    if isinstance(error, nats.errors.AuthorizationError) or "uthorization" in text:
        return MeshError(f"{url} does not let us in: {text}.", reason="refused")
    if isinstance(error, ssl.SSLCertVerificationError):
        return MeshError(f"{url} is not a broker of this mesh: {error.verify_message}.", reason="untrusted")
    # With TLS 1.3 the other side looks at our certificate after we are through: it then just hangs up.
    hint = "Is this node's certificate one of this mesh?" if isinstance(error, ConnectionResetError) else ""
    return Unreachable(f"cannot reach {url}: {text}.", hint=hint)
