"""`spectra scan --plan ID`: the targets of a plan, oldest first, each scanned on exactly the ports it is planned for.

A wave of scans at a time, and what a wave found is submitted before the next begins: whatever ends the work, what was
done is gone from the plan, and the same command goes on with the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from spectra.cli.output import note, plural
from spectra.cli.problems import describe
from spectra.errors import BadRequest, SpectraError

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.cli.scan import Job
    from spectra.collect.netset import IPAddress, NetSet
    from spectra.collect.ports import Ports
    from spectra.collect.prepare import Prepared
    from spectra.collect.scanners.base import Progress, RawOutput, Scanner, ScanRequest
    from spectra.collect.targets import Target as ScanTarget
    from spectra.model.plans import Plan, Target

    Outcome = tuple[RawOutput, ...] | SpectraError

AT_ONCE = 8
"""Scans of a wave; they share the rate and the connections that one scan may use."""
PROTOCOLS = ("tcp", "udp")


class Group(NamedTuple):
    """Hosts that are planned for the same ports."""

    hosts: NetSet
    ports: Ports

    @property
    def size(self) -> int:
        """How many endpoints that is."""
        return self.hosts.size * (self.ports.count("tcp") + self.ports.count("udp"))


@dataclass(frozen=True)
class Work:
    """How to scan: with what, by which law, and the request that each group's hosts and ports are put into."""

    tool: Scanner
    prepare: Callable[[tuple[ScanTarget, ...], str], Prepared]
    request: Callable[[Prepared], ScanRequest]


def choose(name: str) -> Scanner:
    """nmap, else the built-in scanner: both tell what has closed. naabu does not, and its plans would never end."""
    from spectra.collect.scanners.base import NotInstalled
    from spectra.collect.scanners.choose import choose as scanner

    if name == "naabu":
        raise BadRequest(
            "naabu does not tell which ports have closed: they would stay in the plan",
            field="scanner",
            hint="Use --scanner nmap or --scanner connect.",
        )
    if name != "auto":
        return scanner(name)
    try:
        return scanner("nmap")
    except NotInstalled:
        return scanner("connect")


def work_off(client: Client, plan_id: str, job: Job, work: Work, most: int) -> int:
    """Scan at most `most` (0: all) of the plan's targets; the exit code, 130 where it was stopped."""
    from spectra.cli.plan import PAGE, fetch, pages

    first = fetch(client, plan_id, min(most or PAGE, PAGE))
    total = min(first.left, most or first.left)
    if not first.targets:
        note(f"Nothing is left of {plan_id}.")
        return 0
    note(f"{work.tool.name}: {plural(total, 'target')} of {plan_id}, oldest first")
    run = _Run(job, work, plan_id, total)
    left = most or None
    for page in pages(client, first):
        targets = page.targets[:left]
        if not run.page(targets):
            break
        left = left - len(targets) if left is not None else None
        if left == 0:
            break
    return run.end(fetch(client, plan_id, 1))


def grouped(targets: Sequence[Target]) -> list[Group]:
    """Exactly `targets`, in few groups, the largest first: by what a host is planned for, or by port."""
    from spectra.collect.netset import NetSet
    from spectra.collect.ports import Ports, compact

    by_host: dict[IPAddress, set[tuple[str, int]]] = {}
    by_port: dict[tuple[str, int], list[IPAddress]] = {}
    for target in targets:
        ip, port = ip_address(target.ip), (target.protocol, target.port)
        by_host.setdefault(ip, set()).add(port)
        by_port.setdefault(port, []).append(ip)
    by_set: dict[frozenset[tuple[str, int]], list[IPAddress]] = {}
    for ip, ports in by_host.items():
        by_set.setdefault(frozenset(ports), []).append(ip)
    if len(by_port) < len(by_set):
        by_set = {frozenset([port]): ips for port, ips in by_port.items()}
    groups = [
        Group(
            NetSet.ranges((ip, ip) for ip in ips),
            Ports(*(compact(port for named, port in ports if named == protocol) for protocol in PROTOCOLS)),
        )
        for ports, ips in by_set.items()
    ]
    return sorted(groups, key=lambda group: -group.size)


class _Run:
    """The scans of one command. Counts what was scanned, keeps outputs that are not submitted, and what failed."""

    def __init__(self, job: Job, work: Work, plan_id: str, total: int) -> None:
        self._job = job
        self._work = work
        self._plan_id = plan_id
        self._total = total
        self._done = 0
        self._kept: list[RawOutput] = []
        self._failed: list[SpectraError] = []
        self._left_out = 0
        self._stopped = False

    def page(self, targets: Sequence[Target]) -> bool:
        """Scan the targets of a page; False where the person ended it."""
        wanted = [target for target in targets if self._can(target)]
        self._left_out += len(targets) - len(wanted)
        if not wanted:
            return True
        groups = grouped(wanted)
        prepared = self._work.prepare(_targets(wanted), f"{plural(len(wanted), 'target')} of {self._plan_id}")
        waves = iter(groups)
        while wave := list(islice(waves, AT_ONCE)):
            self._wave(wave, prepared)
            if self._stopped:
                return False
        return True

    def end(self, plan: Plan) -> int:
        """Show or keep what was not submitted, say what is left, and return the exit code."""
        if self._left_out:
            note(f"{plural(self._left_out, 'target')} left out: {self._work.tool.name} does not know their protocol.")
        if self._job.out:
            self._job.save(self._kept, self._job.out)
        elif not self._job.signer:
            self._job.show(self._kept)
        for error in self._failed:
            note("\n".join(describe(error)))
        if self._job.signer:
            about = "" if plan.exact else "about "
            again = " Run it again to go on." if plan.left else ""
            note(f"{plural(self._done, 'target')} scanned, {about}{plan.left:,} left in {self._plan_id}.{again}")
        return 130 if self._stopped else int(bool(self._failed))

    def _can(self, target: Target) -> bool:
        return target.protocol == "tcp" or (target.protocol == "udp" and self._work.tool.name != "connect")

    def _wave(self, groups: Sequence[Group], prepared: Prepared) -> None:
        from spectra.cli.progress import bar

        base = self._work.request(prepared)
        share = replace(
            base,
            rate=max(base.rate // len(groups), 1),
            concurrency=max(base.concurrency // len(groups), 1),
        )
        requests = [request for group in groups if (request := _request(share, group, prepared)) is not None]
        sizes = [group.size for group in groups]
        with bar("scanning") as shown:

            def moved(fraction: float, found: int) -> None:
                shown.move(self._done + fraction * sum(sizes), self._total, plural(found, "endpoint"))

            outcomes = asyncio.run(_at_once(self._work.tool, requests, moved))
        self._take(outcomes, " ".join(str(group.ports) for group in groups)[:1000])
        self._done += sum(sizes)

    def _take(self, outcomes: Sequence[Outcome], ports: str) -> None:
        outputs: list[RawOutput] = []
        for outcome in outcomes:
            if isinstance(outcome, SpectraError):
                self._failed.append(outcome)
            else:
                outputs += outcome
        for said in dict.fromkeys(f"{output.tool}: {said}" for output in outputs for said in output.notes):
            note(said)
        self._stopped = any(output.stopped for output in outputs)
        if self._job.signer and outputs:
            self._job.deliver(outputs, f"{self._plan_id} {ports}", self._job.signer)
        if not self._job.signer or self._job.out:
            self._kept += outputs


def _targets(targets: Sequence[Target]) -> tuple[ScanTarget, ...]:
    """The hosts of `targets` as a person might have named them: as few networks as hold no other address."""
    from spectra.collect.netset import NetSet
    from spectra.collect.targets import parse_target

    hosts = NetSet.ranges((ip, ip) for ip in {ip_address(target.ip) for target in targets})
    return tuple(parse_target(str(network)) for network in hosts.networks())


def _request(base: ScanRequest, group: Group, prepared: Prepared) -> ScanRequest | None:
    """The scan of a group, without what the law cut out of it; None where nothing is left."""
    from spectra.collect.targets import TargetSet

    hosts = group.hosts & prepared.targets.addresses
    return replace(base, targets=TargetSet(hosts), ports=group.ports) if hosts else None


async def _at_once(
    tool: Scanner, requests: Sequence[ScanRequest], moved: Callable[[float, int], None]
) -> list[Outcome]:
    """Scan all `requests` at the same time. Cancelled, every scan is, and what they found until then is given."""
    from spectra.collect.scanners.base import Progress
    from spectra.collect.scanners.choose import run

    states = [Progress(0.0)] * len(requests)

    def watch(number: int) -> Callable[[Progress], None]:
        def told(state: Progress) -> None:
            states[number] = state
            moved(sum(one.fraction for one in states) / len(states), sum(one.found for one in states))

        return told

    tasks: list[asyncio.Task[Outcome]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(_outcome(run(tool, request, watch(n)))) for n, request in enumerate(requests)]
    except asyncio.CancelledError:
        # The person asked for an end, and gets what was found: the wish is fulfilled here.
        this = asyncio.current_task()
        if this is not None:
            this.uncancel()
    return [task.result() for task in tasks if task.done() and not task.cancelled()]


async def _outcome(scan: Coroutine[object, object, tuple[RawOutput, ...]]) -> Outcome:
    """What a scan gave, or why it gave nothing: the others go on."""
    try:
        return await scan
    except SpectraError as error:
        return error
