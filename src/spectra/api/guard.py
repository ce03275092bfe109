"""Before anything else is done: where a request comes from, whether that is blocked, and whether it can be text."""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, Generic, TypeVar

import anyio
import anyio.to_thread
from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from spectra.api.auth import INSIDE
from spectra.api.networks import Networks
from spectra.api.problems import problem
from spectra.errors import BadRequest, SpectraError
from spectra.model.limits import Address, DoNotScanList, Nets, merged, plain
from spectra.store import blocks, do_not_scan
from spectra.store.database import Database

T = TypeVar("T")

_log = logging.getLogger("spectra.api")

KEEP_S: Final = 1.0
"""How long what was read is taken for true; another coordinator's block holds here after that."""
_WAIT_S: Final = 1.0  # longest a request waits for it to be read: a database that is away must not hang them all
_MOST_HOPS: Final = 20


class Blocked(SpectraError):
    """The client's network, or its AS, may not use this API."""

    reason = "blocked"


class Kept(Generic[T]):
    """A value that is read again at most every `KEEP_S` seconds, by one at a time. Thread-safe."""

    def __init__(self, load: Callable[[], T], first: T) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._asked = -KEEP_S
        self.known = False
        self.value = first

    def read(self) -> T:
        """Read now. Blocks, and raises what `load` does."""
        self.value = self._load()
        self.known = True
        self._asked = time.monotonic()
        return self.value

    def due(self) -> bool:
        """Whether to read again; if it was read before, only one caller is told so."""
        with self._lock:
            now = time.monotonic()
            due = now - self._asked >= KEEP_S
            if due:
                self._asked = now
            return due or not self.known


class Refusals:
    """What stands in the database on who is refused as a client, and what is not to be scanned."""

    def __init__(self, database: Database, clock: Callable[[], datetime], networks: Networks) -> None:
        self._database = database
        self._clock = clock
        self._networks = networks
        self._built: tuple[tuple[str, ...], Nets] = ((), Nets(()))
        self._merged: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._clients = Kept(self._read_clients, self._built[1])
        self._targets = Kept(self._read_targets, DoNotScanList(clock(), ()))
        self._thread = anyio.CapacityLimiter(1)

    def changed(self) -> None:
        """Read anew, after a change made here. Blocks; raises `Unavailable`."""
        self._clients.read()
        self._targets.read()

    def networks_of(self, network: str, asn: int) -> Sequence[str]:
        """What a block is about: its network, or those of its AS."""
        return [network] if network else self._networks.prefixes(asn)

    def targets(self) -> DoNotScanList:
        """The networks that are not to be scanned. Blocks; raises `Unavailable`."""
        return self._targets.read() if self._targets.due() else self._targets.value

    async def refuses(self, address: Address) -> bool:
        """Whether a client of this address is refused; one on this machine never is.

        While the database is away, what was read last holds.
        """
        if address.is_loopback:
            return False
        if self._clients.due():
            with anyio.move_on_after(_WAIT_S):
                await anyio.to_thread.run_sync(self._try, abandon_on_cancel=True, limiter=self._thread)
        return address in self._clients.value

    def _try(self) -> None:
        try:
            self._clients.read()
        except SpectraError as error:
            _log.warning("blocks could not be read; the last known hold", extra={"error.message": error.message})

    def _read_clients(self) -> Nets:
        found = blocks.standing(self._database, self._clock())
        networks = tuple(net for block in found for net in self.networks_of(block.network, block.asn))
        if networks != self._built[0]:
            self._built = (networks, Nets(networks))
        return self._built[1]

    def _read_targets(self) -> DoNotScanList:
        now = self._clock()
        with self._database.connection() as connection:
            never = do_not_scan.excluded(connection, now)
        networks = (*never.networks, *(net for asn in never.asns for net in self._networks.prefixes(asn)))
        if networks != self._merged[0]:
            self._merged = (networks, tuple(merged(networks)))
        return DoNotScanList(now, self._merged[1])


class Guard:
    """ASGI middleware: refuses blocked clients with 403 before their request is looked at, and a NUL in path or query
    with 400: no text in PostgreSQL can hold one, and no name, query or id has one.
    """

    def __init__(self, app: ASGIApp, refusals: Refusals, trusted: Nets) -> None:
        self._app = app
        self._refusals = refusals
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or INSIDE in scope:
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        address = state["address"] = client_address(scope, self._trusted)
        error = await self._refused(scope, address)
        if error is None:
            await self._app(scope, receive, send)
            return
        answer = problem(error, state.get("request_id", ""))
        answer.headers["Connection"] = "close"  # what is still being sent is not read
        await answer(scope, receive, send)

    async def _refused(self, scope: Scope, address: Address | None) -> SpectraError | None:
        if address is not None and await self._refusals.refuses(address):
            return Blocked("Your network may not use this node.", hint="Whoever runs it can tell why.")
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return BadRequest("The path or a parameter has a NUL character.", field="path")
        return None


def address_of(request: Request) -> Address | None:
    """Where a request comes from, as the guard found it; None for a local socket."""
    return getattr(request.state, "address", None)


def refusals_of(request: Request) -> Refusals:
    """Who is refused by the app that serves `request`."""
    return request.app.state.refusals


def client_address(scope: Scope, trusted: Nets) -> Address | None:
    """The address of the client: of the connection, or where that is a trusted proxy's the last one of
    `X-Forwarded-For` that is not. Whatever stands further left was written by a stranger.
    """
    peer = scope.get("client")
    address = _address(peer[0]) if peer else None
    if address is None or address not in trusted:
        return address
    named = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    return _last_stranger(address, reversed(named.decode("latin-1").split(",")[-_MOST_HOPS:]), trusted)


def _last_stranger(address: Address, hops: Iterable[str], trusted: Nets) -> Address:
    for hop in hops:
        said = _address(_without_port(hop.strip()))
        if said is None:
            break
        address = said
        if address not in trusted:
            break
    return address


def _without_port(hop: str) -> str:
    """`[2001:db8::7]:4711` and `192.0.2.7:4711`, which some proxies write."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _address(text: str) -> Address | None:
    try:
        return plain(ipaddress.ip_address(text))
    except ValueError:
        return None
