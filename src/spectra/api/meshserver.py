"""The TLS listener of the mesh: a thread with an event loop of its own, so that machines do not slow people down.

A client's certificate is asked for, not demanded: who has none yet comes for one. What a handshake can be used for
against us is bounded: how long it takes, how many connections there are, and how many from one address.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

import uvicorn
from starlette.types import ASGIApp

from spectra.api.protocol import BoundedHttp
from spectra.errors import SetupError
from spectra.model.limits import plain

_log = logging.getLogger("spectra.mesh")

_START_WITHIN_S: Final = 30.0
_STOP_WITHIN_S: Final = 30.0
_NO_DESCRIPTORS_PAUSE_S: Final = 0.2
_GOODBYE_S: Final = 1.0  # for the other side's close_notify: an idle client does not read, and sends none
_TIMES: Final = {9: "not_yet", 10: "expired"}  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED

OnRefusal = Callable[[str, str, str], object]
"""Told of a refused connection: its kind, the address it came from, and what was wrong."""


class Bounds(NamedTuple):
    """What strangers can take of this process."""

    connections: int = 2048
    connections_of_one: int = 512
    handshake_s: float = 10.0
    keep_alive_s: int = 30
    graceful_s: int = 5


BOUNDS: Final = Bounds()


def server_context(certificate: Path, key: Path, roots: str) -> ssl.SSLContext:
    """TLS 1.2 and later with our `certificate` (leaf and chain) and `key`; clients' certificates end at `roots` (PEM).

    There are no session tickets: a resumed session would bring a certificate that nobody verified again.
    Raises `SetupError` where the files cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(cadata=roots)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise SetupError(f"The certificate of this node ({certificate}) cannot be used: {error}.") from error
    return context


class MeshServer:
    """Serves `app` on `listener`. `use` exchanges the TLS context while it runs."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        context: ssl.SSLContext,
        *,
        on_refusal: OnRefusal = lambda kind, address, detail: None,
        bounds: Bounds = BOUNDS,
    ) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",  # uvloop leaves the socket of a handshake that is cancelled open
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=True,
            timeout_keep_alive=bounds.keep_alive_s,
            timeout_graceful_shutdown=bounds.graceful_s,
        )
        self._listener = listener
        self._server = _Server(config, listener, context, on_refusal, bounds)
        self._thread = threading.Thread(target=self._run, name="mesh", daemon=True)

    def start(self) -> None:
        """Begin to answer. Raises `SetupError` where it cannot."""
        self._thread.start()
        if not self._server.ready.wait(_START_WITHIN_S) or not self._server.started:
            raise SetupError("The mesh's listener did not start; the log says why.")

    def stop(self) -> None:
        """Take no more connections, finish what is being answered, and close the listening socket."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN_S)
        self._listener.close()

    def use(self, context: ssl.SSLContext) -> None:
        """Take `context` for new connections; the open ones end after the answer they are at.

        So a peer that was let in by a root of the past comes again, and is looked at with the roots of now.
        """
        self._server.exchange(context)

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except Exception:  # noqa: BLE001 - a thread's last line: nobody above would hear of it
            _log.exception("the mesh's listener failed")
        finally:
            self._server.ready.set()


class _Connection(BoundedHttp):
    """One connection; `ended` is called once when it is over."""

    made = False
    ended: Callable[[], None] = staticmethod(lambda: None)

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.made = True
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.ended()


class _Server(uvicorn.Server):
    """uvicorn with an accept loop of its own: asyncio's tells nobody of a handshake that failed, nor counts them."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        context: ssl.SSLContext,
        on_refusal: OnRefusal,
        bounds: Bounds,
    ) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._listener = listener
        self._context = context
        self._on_refusal = on_refusal
        self._bounds = bounds
        self._open: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None

    def exchange(self, context: ssl.SSLContext) -> None:
        """From any thread."""
        self._context = context
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                self._loop.call_soon_threadsafe(self._dismiss)

    def _dismiss(self) -> None:
        for connection in list(self.server_state.connections):
            connection.shutdown()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Nothing is created here: connections are accepted in `main_loop`."""
        self.servers = []
        self._listener.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self.started = True
        self.ready.set()

    async def main_loop(self) -> None:
        """Accept until the end is asked for; what is in a handshake then is given up."""
        async with asyncio.TaskGroup() as group:
            greeting: set[asyncio.Task[None]] = set()
            accepting = group.create_task(self._accept(group, greeting))
            await super().main_loop()
            for task in (accepting, *greeting):
                task.cancel()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Graceful for as long as the bounds say, then not."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # their sockets are closed in the next round

    async def _accept(self, group: asyncio.TaskGroup, greeting: set[asyncio.Task[None]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self._listener)
            except OSError as error:  # no descriptor is left: those who wait go on waiting
                _log.warning("no connection can be accepted", extra={"error.message": str(error)})
                await asyncio.sleep(_NO_DESCRIPTORS_PAUSE_S)
                continue
            address = str(plain(ip_address(peer[0])))
            if why := self._too_many(address):
                self._on_refusal("too_many_connections", address, why)
                connection.close()
                continue
            self._open[address] += 1
            task = group.create_task(self._greet(connection, address))
            greeting.add(task)
            task.add_done_callback(greeting.discard)

    def _too_many(self, address: str) -> str:
        if self._open.total() >= self._bounds.connections:
            return f"{self._bounds.connections} connections are open"
        if self._open[address] >= self._bounds.connections_of_one:
            return f"{self._bounds.connections_of_one} connections of this address are open"
        return ""

    async def _greet(self, connection: socket.socket, address: str) -> None:
        """The handshake; a connection that it made ends by itself."""
        protocol = _Connection(config=self.config, server_state=self.server_state, app_state={})
        protocol.ended = lambda: self._forget(address)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=self._bounds.handshake_s,
                ssl_shutdown_timeout=_GOODBYE_S,
            )
        except (OSError, asyncio.CancelledError) as error:
            if not protocol.made:
                connection.close()
                self._forget(address)
            if isinstance(error, asyncio.CancelledError):
                raise
            if why := _why(error):
                self._on_refusal(why[0], address, why[1])

    def _forget(self, address: str) -> None:
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]


def _why(error: OSError) -> tuple[str, str] | None:
    """Kind and detail of a failed handshake; None for who just went away."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _TIMES.get(error.verify_code, "untrusted"), f"the client's certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLZeroReturnError | ssl.SSLEOFError | ConnectionResetError | BrokenPipeError):
        return None
    if isinstance(error, ConnectionAbortedError | TimeoutError):
        return "handshake", "the TLS handshake took too long"
    return "handshake", str(getattr(error, "reason", None) or error.strerror or error)[:200].lower().replace("_", " ")
