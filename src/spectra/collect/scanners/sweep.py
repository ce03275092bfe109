"""One run of the built-in scanner: which endpoint next, how fast, and what became of each host.

Every port of a host is asked once; then what was silent is asked again in rounds, as `Patience` says, and by another
relay where its network was found to drop the first one.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from spectra.collect.netset import IPAddress
from spectra.collect.scanners.base import Progress, Report, ScanRequest, utc_now
from spectra.collect.scanners.connect_output import HostResult, Output, PortResult
from spectra.collect.scanners.grab import Ask, Found, grab
from spectra.collect.scanners.pace import Bucket, Outcome, Pace, Patience, Timing
from spectra.collect.scanners.paths import Paths
from spectra.collect.scanners.talk import CannotConnect, Talk, any_tls

BLOCK = 256  # hosts begun together, and twice as many in work at most: memory does not grow with the targets
OPEN_RETRIES = 4  # of a further connection to an open port that timed out
LOCAL_RETRIES = 3  # of an attempt this machine could not send
BUSY_RETRIES = 10  # of an attempt for which it had no descriptor or port left, each after twice the wait
LONGEST_TALK = 12  # times the longest wait for one answer: all talk with one open port together
GIVE_UP = 8  # attempts on one host that this machine could not send, when none could be sent

T = TypeVar("T")


@dataclass(slots=True)
class Host:
    """An address in work: what is still to come, and the counts that tell closed, filtered and silent apart.

    `remaining`: ports not settled; `waiting`: those asked just now; `unanswered`: those that were silent this round.
    """

    ip: IPAddress
    names: tuple[str, ...]
    remaining: int
    waiting: int
    timing: Timing
    patience: Patience = field(default_factory=Patience)
    unanswered: list[int] = field(default_factory=list[int])
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    next_at: float = 0.0
    found: list[PortResult] = field(default_factory=list[PortResult])
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    error: str = ""

    @property
    def silent(self) -> bool:
        """Whether it has not answered at all."""
        return not self.counts[Outcome.OPEN] and not self.counts[Outcome.CLOSED]

    @property
    def hopeless(self) -> bool:
        """Whether this machine has no way to the host: asking for its other ports is of no use."""
        return self.counts[Outcome.LOCAL] >= GIVE_UP and sum(self.counts.values()) == self.counts[Outcome.LOCAL]

    def result(self, *, whole: bool) -> HostResult | None:
        """What is known; None if nothing is: its probes could not be sent, or not all of them were."""
        unsent = self.counts[Outcome.LOCAL] or not whole
        if self.silent and unsent:
            return None
        rest = None
        if not unsent and self.counts[Outcome.FILTERED]:
            rest = "filtered"
        elif not unsent and self.counts[Outcome.CLOSED]:
            rest = "closed"
        return HostResult(self.ip, self.names, sorted(self.found, key=lambda p: p.port), rest, silent=self.silent)


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
        self.paths = Paths(request, self._compare)
        self.probes = 0
        self.refused: list[IPAddress] = []
        self.unsent: dict[str, int] = {}
        self.odd = 0

    async def run(self) -> bool:
        """Probe every endpoint, a block of hosts at a time, going round the hosts of a block port by port.

        False if the output took no more and the rest was left out.
        """
        addresses = iter(self._request.targets.addresses)
        async with asyncio.TaskGroup() as group:
            while (block := list(itertools.islice(addresses, BLOCK))) and not self._output.full:
                await self._until(lambda: len(self._hosts) <= BLOCK)
                hosts = [host for ip in _shuffled(block) if (host := self._admitted(ip)) is not None]
                for port in self._ports:
                    for host in hosts:
                        await self._ask(group, host, port)
        return not self._output.full

    def close(self) -> None:
        """Write what is known of the hosts still in work."""
        for host in list(self._hosts.values()):
            self._finish(host, whole=False)

    def _admitted(self, ip: IPAddress) -> Host | None:
        """The host, if the law still permits it now: consent may have run out since the scan began."""
        names = self._request.targets.names.get(ip, ())
        if not self._request.scope.permits(ip, names, utc_now()):
            self.refused.append(ip)
            self._done += len(self._ports)
            return None
        count = len(self._ports)
        timing = Timing(self._request.timeout_s, steady=self._request.relays is None)
        host = self._hosts[ip] = Host(ip, names, count, count, timing)
        return host

    async def _ask(self, group: asyncio.TaskGroup, host: Host, port: int) -> None:
        """Begin with one endpoint for the first time."""
        if self._output.full:
            return
        if host.hopeless:
            self._settle(host, Outcome.LOCAL)
            self._asked(group, host)
            return
        await self._until(lambda: self._active < self._pace.concurrency)
        self._active += 1
        await self._turn()
        group.create_task(self._first(group, host, port))

    async def _until(self, free: Callable[[], bool]) -> None:
        while not free():
            self._freed.clear()
            await self._freed.wait()

    async def _turn(self) -> None:
        wait = self._bucket.take(asyncio.get_running_loop().time(), self._pace.rate)
        await asyncio.sleep(wait)

    async def _compare(self) -> None:
        """One attempt at comparing two ways."""
        self.probes += 1
        await self._turn()

    async def _spaced(self, host: Host) -> None:
        """Wait for the next attempt that this host may be asked."""
        now = asyncio.get_running_loop().time()
        at = max(host.next_at, now)
        host.next_at = at + host.patience.gap_s
        await asyncio.sleep(at - now)

    async def _first(self, group: asyncio.TaskGroup, host: Host, port: int) -> None:
        """The first attempt at a port; the last of them begins the rounds of what was silent."""
        await self._probe(host, port, self._pace.tell, lambda: self._asked(group, host))

    def _asked(self, group: asyncio.TaskGroup, host: Host) -> None:
        host.waiting -= 1
        if host.waiting == 0 and host.unanswered:
            group.create_task(self._insist(group, host))

    async def _insist(self, group: asyncio.TaskGroup, host: Host) -> None:
        """Ask what was silent again, round by round, and by another relay if this one is dropped; then it is filtered.

        A network that drops every relay is left after one try of each of them.
        """
        for _ in range(1 + self.paths.others):
            via = self.paths.via(host.ip)
            while host.unanswered and host.patience.again(silent=host.silent) and not self._output.full:
                await self._round(group, host)
            if not await self.paths.turned(host.ip, via, host.unanswered):
                break
            host.patience = Patience()
        for _ in host.unanswered:
            self._settle(host, Outcome.FILTERED)

    async def _round(self, group: asyncio.TaskGroup, host: Host) -> None:
        ports, host.unanswered = host.unanswered[::-1], []
        host.waiting = len(ports)
        host.asked.clear()

        def told(outcome: Outcome) -> None:
            if outcome is not Outcome.LOCAL:
                host.patience.tell(answered=outcome is not Outcome.FILTERED)

        def asked() -> None:
            host.waiting -= 1
            if host.waiting == 0:
                host.asked.set()

        for port in ports:
            await self._spaced(host)
            await self._until(lambda: self._active < self._pace.concurrency)
            self._active += 1
            await self._turn()
            group.create_task(self._probe(host, port, told, asked))
        await host.asked.wait()

    async def _probe(self, host: Host, port: int, tell: Callable[[Outcome], None], asked: Callable[[], None]) -> None:
        """One endpoint in one round: `tell` hears of each attempt, `asked` when the answer is known, before its use."""
        try:
            talk = await self._answer(host, port, tell)
            asked()
            if talk is not None:
                self._found += 1
                self.paths.found(host.ip, port)
                host.found.append(PortResult(port, await self._grabbed(host, port, talk)))
                self._settle(host, Outcome.OPEN)
        finally:
            self._active -= 1
            self._freed.set()

    async def _answer(self, host: Host, port: int, tell: Callable[[Outcome], None]) -> Talk | None:
        """An open connection, or nothing: then the endpoint is settled, or silent and waits for the next round."""
        tried = 0
        while True:
            try:
                talk = await self._dial(host, port, host.timing.timeout_s)
            except CannotConnect as failure:
                tell(failure.outcome)
                if failure.outcome is Outcome.FILTERED:
                    host.unanswered.append(port)
                    return None
                if failure.outcome is Outcome.CLOSED or tried >= _retries(failure):
                    host.error = str(failure) or host.error
                    self._settle(host, failure.outcome)
                    return None
                await self._pause(failure, tried)
                tried += 1
            else:
                tell(Outcome.OPEN)
                return talk

    async def _pause(self, failure: CannotConnect, tried: int) -> None:
        if failure.busy:
            await asyncio.sleep(min(self._request.timeout_s, 0.02 * 2**tried))
        await self._turn()

    async def _dial(self, host: Host, port: int, timeout_s: float) -> Talk:
        clock = asyncio.get_running_loop().time
        began = clock()
        self.probes += 1
        try:
            sock = await self.paths.dial(host.ip, port, timeout_s=timeout_s)
        except CannotConnect as failure:
            if failure.outcome is Outcome.CLOSED:
                host.timing.tell(clock() - began)
            raise
        host.timing.tell(clock() - began)
        return await Talk.over(sock)

    async def _again(self, host: Host, port: int) -> Talk:
        """A further connection to an open port: silence now means that it was dropped, and is waited out."""
        tried = 0
        while True:
            await self._spaced(host)
            await self._turn()
            try:
                return await self._dial(host, port, self._request.timeout_s)
            except CannotConnect as failure:
                limit = OPEN_RETRIES if failure.outcome is Outcome.FILTERED else _retries(failure)
                if tried >= limit:
                    raise
                await self._pause(failure, tried)
                tried += 1

    async def _grabbed(self, host: Host, port: int, talk: Talk) -> Found:
        if not self._request.grab:
            async with talk:
                return Found()
        sni, timeout_s = host.names[0] if host.names else "", self._request.timeout_s
        dial = partial(self._again, host, port)
        ask = Ask(dial, port, _authority(host, port), sni, timeout_s, self._quiet_s, self._context)
        try:
            async with talk, asyncio.timeout(LONGEST_TALK * (timeout_s + self._quiet_s)):
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
        self._freed.set()
        result = host.result(whole=whole)
        if result is not None:
            self._output.add(result)
        elif whole:
            self.unsent[host.error] = self.unsent.get(host.error, 0) + 1


def _retries(failure: CannotConnect) -> int:
    """Of an attempt that this machine could not make."""
    if failure.busy:
        return BUSY_RETRIES
    return LOCAL_RETRIES if failure.outcome is Outcome.LOCAL else 0


def _authority(host: Host, port: int) -> str:
    """The Host header (RFC 9110 section 7.2): the name a user gave, else the address; the port unless it is usual."""
    name = host.names[0] if host.names else (str(host.ip) if host.ip.version == 4 else f"[{host.ip}]")
    return name if port in {80, 443} else f"{name}:{port}"


def _shuffled(items: Iterable[T]) -> list[T]:
    """The items in an order without pattern that is the same in every run."""
    return sorted(items, key=lambda item: hashlib.blake2b(str(item).encode(), digest_size=8).digest())
