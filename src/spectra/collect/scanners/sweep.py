"""One run of the built-in scanner: which endpoint next, how fast, and what became of each host."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from spectra.collect.netset import IPAddress
from spectra.collect.scanners.base import Progress, Report, ScanRequest, utc_now
from spectra.collect.scanners.connect_output import HostResult, Output, PortResult
from spectra.collect.scanners.grab import Ask, Found, grab
from spectra.collect.scanners.pace import Bucket, Outcome, Pace
from spectra.collect.scanners.talk import CannotConnect, Talk, any_tls, dial

BLOCK = 256  # hosts in work at once: memory is bounded by this, not by the size of the targets
RETRIES = 1  # of an attempt that timed out
LOCAL_RETRIES = 3  # of an attempt this machine could not send
BUSY_RETRIES = 10  # of an attempt for which it had no descriptor or port left, each after twice the wait
GIVE_UP = 8  # attempts on one host that this machine could not send, when none could be sent

T = TypeVar("T")


@dataclass(slots=True)
class Host:
    """An address in work: what is still to come, and the counts that tell closed, filtered and silent apart."""

    ip: IPAddress
    names: tuple[str, ...]
    remaining: int
    found: list[PortResult] = field(default_factory=list[PortResult])
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    error: str = ""

    @property
    def hopeless(self) -> bool:
        """Whether this machine has no way to the host: asking for its other ports is of no use."""
        return self.counts[Outcome.LOCAL] >= GIVE_UP and sum(self.counts.values()) == self.counts[Outcome.LOCAL]

    def result(self, *, whole: bool) -> HostResult | None:
        """What is known; None if nothing is: its probes could not be sent, or not all of them were."""
        answered = self.counts[Outcome.OPEN] or self.counts[Outcome.CLOSED]
        unsent = self.counts[Outcome.LOCAL] or not whole
        if not answered and unsent:
            return None
        rest = None
        if not unsent and self.counts[Outcome.FILTERED]:
            rest = "filtered"
        elif not unsent and self.counts[Outcome.CLOSED]:
            rest = "closed"
        return HostResult(self.ip, self.names, sorted(self.found, key=lambda p: p.port), rest, silent=not answered)


class Sweep:
    """The state of one scan. `run` returns when every endpoint is settled; cancelled, `close` keeps what is known."""

    def __init__(self, request: ScanRequest, output: Output, progress: Report, *, limit: int, quiet_s: float) -> None:
        self._request, self._output, self._progress, self._quiet_s = request, output, progress, quiet_s
        self._ports = _shuffled(request.ports.numbers("tcp"))
        self._pace = Pace(request.rate, min(request.concurrency, limit))
        self._bucket = Bucket(burst=max(1, min(50, request.rate // 20)))
        self._context = any_tls()
        self._active, self._freed = 0, asyncio.Event()
        self._hosts: dict[IPAddress, Host] = {}
        self._done, self._total = 0, request.targets.addresses.size * len(self._ports)
        self._reported, self._found = 0.0, 0
        self.refused: list[IPAddress] = []
        self.unsent: dict[str, int] = {}
        self.odd = 0

    async def run(self) -> bool:
        """Probe every endpoint once, a block of hosts at a time, going round the hosts of a block port by port.

        False if the output took no more and the rest was left out.
        """
        async with asyncio.TaskGroup() as group:
            for host, port in self._order():
                if self._output.full:
                    break
                if host.hopeless:
                    self._settle(host, Outcome.LOCAL)
                    continue
                await self._slot()
                await self._turn()
                group.create_task(self._probe(host, port))
        return not self._output.full

    def close(self) -> None:
        """Write what is known of the hosts still in work."""
        for host in list(self._hosts.values()):
            self._finish(host, whole=False)

    def _order(self) -> Iterator[tuple[Host, int]]:
        addresses = iter(self._request.targets.addresses)
        while block := list(itertools.islice(addresses, BLOCK)):
            hosts = [host for ip in _shuffled(block) if (host := self._admitted(ip)) is not None]
            for port in self._ports:
                for host in hosts:
                    yield host, port

    def _admitted(self, ip: IPAddress) -> Host | None:
        """The host, if the law still permits it now: consent may have run out since the scan began."""
        names = self._request.targets.names.get(ip, ())
        if not self._request.scope.permits(ip, names, utc_now()):
            self.refused.append(ip)
            self._done += len(self._ports)
            return None
        host = self._hosts[ip] = Host(ip, names, len(self._ports))
        return host

    async def _slot(self) -> None:
        while self._active >= self._pace.concurrency:
            self._freed.clear()
            await self._freed.wait()
        self._active += 1

    async def _turn(self) -> None:
        wait = self._bucket.take(asyncio.get_running_loop().time(), self._pace.rate)
        await asyncio.sleep(wait)

    async def _probe(self, host: Host, port: int) -> None:
        try:
            outcome, error = Outcome.FILTERED, ""
            try:
                talk = await self._connected(host, port)
            except CannotConnect as failure:
                outcome, error = failure.outcome, str(failure)
            else:
                outcome = Outcome.OPEN
                self._found += 1
                host.found.append(PortResult(port, await self._grabbed(host, port, talk)))
            host.error = error or host.error
            self._settle(host, outcome)
        finally:
            self._active -= 1
            self._freed.set()

    async def _connected(self, host: Host, port: int) -> Talk:
        """A connection to the endpoint; what failed is tried again by its kind, a limited number of times."""
        tried = 0
        while True:
            try:
                talk = await self._dial(host, port)
            except CannotConnect as failure:
                self._pace.tell(failure.outcome)
                if tried >= _retries(failure):
                    raise
                if failure.busy:
                    await asyncio.sleep(min(self._request.timeout_s, 0.02 * 2**tried))
                tried += 1
                await self._turn()
            else:
                self._pace.tell(Outcome.OPEN)
                return talk

    async def _dial(self, host: Host, port: int) -> Talk:
        request = self._request
        return await Talk.over(await dial(host.ip, port, timeout_s=request.timeout_s, interface=request.interface))

    async def _grabbed(self, host: Host, port: int, talk: Talk) -> Found:
        async def again() -> Talk:
            await self._turn()
            return await self._connected(host, port)

        sni = host.names[0] if host.names else ""
        ask = Ask(again, port, _authority(host, port), sni, self._request.timeout_s, self._quiet_s, self._context)
        try:
            async with talk, asyncio.timeout(8 * (self._request.timeout_s + self._quiet_s)):
                return await grab(ask, talk)
        except TimeoutError:
            return Found()
        except Exception:  # noqa: BLE001 - one hostile answer must not end the scan of all others
            self.odd += 1
            return Found()

    def _settle(self, host: Host, outcome: Outcome) -> None:
        host.counts[outcome] += 1
        host.remaining -= 1
        self._done += 1
        if host.remaining == 0:
            self._finish(host, whole=True)
        now = asyncio.get_running_loop().time()
        if now - self._reported >= 0.25 or self._done == self._total:
            self._reported = now
            self._progress(Progress(self._done / self._total, self._found))

    def _finish(self, host: Host, *, whole: bool) -> None:
        del self._hosts[host.ip]
        result = host.result(whole=whole)
        if result is not None:
            self._output.add(result)
        elif whole:
            self.unsent[host.error] = self.unsent.get(host.error, 0) + 1


def _retries(failure: CannotConnect) -> int:
    if failure.busy:
        return BUSY_RETRIES
    return {Outcome.FILTERED: RETRIES, Outcome.LOCAL: LOCAL_RETRIES}.get(failure.outcome, 0)


def _authority(host: Host, port: int) -> str:
    """The Host header (RFC 9110 section 7.2): the name a user gave, else the address; the port unless it is usual."""
    name = host.names[0] if host.names else (str(host.ip) if host.ip.version == 4 else f"[{host.ip}]")
    return name if port in {80, 443} else f"{name}:{port}"


def _shuffled(items: Iterable[T]) -> list[T]:
    """The items in an order without pattern that is the same in every run."""
    return sorted(items, key=lambda item: hashlib.blake2b(str(item).encode(), digest_size=8).digest())
