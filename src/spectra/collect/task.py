"""What the process of one task does: the law, the tool, the scan, and the files it leaves. Nothing of it has a key.

1. The law: the mesh's do-not-scan list, this machine's own, special-use space, the order's consent; on names before
   they are looked up, and on addresses. Any part that may not be scanned refuses the whole: the coordinator, or another
   machine, cuts it.
2. The first of the preset's tools that is here and can do it.
3. The scan, which hands out what it found where it is stopped.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import msgspec

from spectra.collect.consent import Consent
from spectra.collect.netset import IPAddress
from spectra.collect.prepare import Prepared, prepare
from spectra.collect.relays import Relays, read_memory, usable_tools
from spectra.collect.rules import Rule, parse_rule
from spectra.collect.scanners import relayed
from spectra.collect.scanners.base import (
    NotInstalled,
    Progress,
    RawOutput,
    Report,
    Scanner,
    ScanRequest,
    utc_now,
)
from spectra.collect.scanners.choose import choose_of
from spectra.collect.scope import OutOfScope, Scope
from spectra.collect.targets import Target, parse_targets
from spectra.collect.taskmessages import (
    DONE,
    LAW,
    OWN_LAW,
    RELAYS,
    RELAYS_LEARNT,
    ArtefactFile,
    Executed,
    Given,
    Moved,
    OutputFile,
)
from spectra.errors import BadRequest, SpectraError
from spectra.model.lawbook import LawBook
from spectra.model.results import MAX_OBSERVATIONS
from spectra.model.work import Order, Stats

LOG: Final = "log.txt"
MAX_LOG: Final = 256 * 1024
_own_law: Final = msgspec.json.Decoder(tuple[tuple[str, str], ...])


class Refusal(Exception):
    """Nothing was scanned, for a reason that the coordinator knows what to do about."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Log:
    """What happened, line by line: the log of an attempt."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._size = 0

    def say(self, text: str) -> None:
        """A line, with its time; beyond 256 KiB none."""
        line = f"{utc_now():%Y-%m-%dT%H:%M:%SZ} {''.join(c if c.isprintable() else ' ' for c in text[:2000])}"
        if self._size < MAX_LOG:
            self._size += len(line)
            self._lines.append(line)

    def write(self, path: Path) -> None:
        """Leave it."""
        path.write_text("".join(f"{line}\n" for line in self._lines), encoding="utf-8")


async def perform(
    given: Given, folder: Path, moved: Callable[[Moved], None], stopped: asyncio.Future[None]
) -> Executed:
    """Do the order and leave its outputs, its log and `done.json` in `folder`; stop early once `stopped` is done."""
    log, started = Log(), utc_now()
    try:
        executed = await _perform(given, folder, moved, stopped, log)
    except Refusal as refusal:
        log.say(f"refused: {refusal.reason}: {refusal.message}")
        executed = Executed(outcome="refused", reason=refusal.reason, message=refusal.message[:2000])
    except SpectraError as error:
        log.say(f"failed: {error}")
        executed = Executed(outcome="failed", reason=error.reason[:60], message=str(error)[:2000])
    log.write(folder / LOG)
    executed = msgspec.structs.replace(
        executed,
        started=executed.started or started,
        finished=utc_now(),
        artefacts=(*executed.artefacts, ArtefactFile("log", LOG)),
        stats=_with_usage(executed.stats),
    )
    (folder / DONE).write_bytes(msgspec.json.encode(executed))
    return executed


async def _perform(
    given: Given, folder: Path, moved: Callable[[Moved], None], stopped: asyncio.Future[None], log: Log
) -> Executed:
    order = given.order
    prepared = await lawful(order, folder)
    relays = _relays(given, folder)
    asked = replace(request(given, prepared), relays=relays, known=_known(order))
    found = 0

    def report(state: Progress) -> None:
        nonlocal found
        found = max(found, state.found)
        moved(Moved(min(max(state.fraction, 0.0), 1.0), state.found, state.note[:200]))

    scanner, outputs = await _scanned(order, asked, report, stopped, log)
    if relays is not None:
        (folder / RELAYS_LEARNT).write_bytes(msgspec.json.encode(relays.memory()))
    for note in (note for output in outputs for note in output.notes):
        log.say(note)
    files = tuple(_left(folder, number, output) for number, output in enumerate(outputs) if output.data.strip())
    partial = any(output.stopped for output in outputs)
    first = outputs[0] if outputs else None
    log.say(f"{'stopped' if partial else 'done'}: {found} endpoints")
    return Executed(
        outcome="partial" if partial else "done",
        reason="stopped" if partial else "",
        message="; ".join(note for output in outputs for note in output.notes)[:2000],
        tool=first.tool if first else scanner.name,
        tool_version=first.tool_version if first else "",
        outputs=files[:MAX_OBSERVATIONS],
        stats=Stats(
            found=found,
            probes=sum(output.probes for output in outputs),
            loss=next((output.loss for output in outputs if output.loss is not None), None),
        ),
    )


async def _scanned(
    order: Order, asked: ScanRequest, report: Report, stopped: asyncio.Future[None], log: Log
) -> tuple[Scanner, tuple[RawOutput, ...]]:
    """What the first tool found that is here and can do it: some know no UDP, or no tunnels."""
    tools, why = usable_tools(asked.relays, order.preset.tools), ""
    while True:
        try:
            scanner = choose_of(tools)
        except NotInstalled as error:
            raise Refusal("not_here" if why else "no_tool", why or str(error)) from error
        log.say(f"{scanner.name}: {' '.join(order.targets)}; attempt {order.attempt}, {asked.rate} probes/s")
        try:
            return scanner, await _until_stopped(relayed.run(scanner, asked, report), stopped)
        except BadRequest as error:
            why = f"{scanner.name}: {error}"
            log.say(why)
            tools = tools[[str(tool) for tool in tools].index(scanner.name) + 1 :]
            if not tools:
                raise Refusal("not_here", why) from error


def _relays(given: Given, folder: Path) -> Relays | None:
    """The ways this machine sends through; None for the one that everything takes."""
    if not given.relays:
        return None
    memory = folder / RELAYS
    try:
        return Relays.parse(given.relays, read_memory(memory.read_bytes()) if memory.exists() else None)
    except BadRequest as error:
        raise Refusal("not_here", f"worker.relays: {error}") from error


def _known(order: Order) -> tuple[tuple[IPAddress, int], ...]:
    """TCP endpoints lately open: those that are silent now show what is lost on the way."""
    try:
        return tuple((ip_address(one.ip), one.port) for one in order.known if one.protocol == "tcp")
    except ValueError as error:
        raise Refusal("bad_order", str(error)) from error


def request(given: Given, prepared: Prepared) -> ScanRequest:
    """The scan that an order asks of this machine. Raises `Refusal` for one that makes no sense."""
    order = given.order
    try:
        asked = ScanRequest.of(
            order.preset,
            prepared.targets,
            prepared.scope,
            ports=order.ports,
            rate=order.rate,
            deadline_s=given.deadline_s,
            interface=given.interface,
        )
    except BadRequest as error:
        raise Refusal("bad_order", str(error)) from error
    timeout_s = asked.timeout_s if order.preset.timeout_s else given.timeout_s
    return replace(asked, concurrency=given.concurrency, timeout_s=timeout_s)


async def lawful(order: Order, folder: Path) -> Prepared:
    """The targets of an order as they may be scanned from here. Raises `Refusal` where any part may not."""
    now = utc_now()
    try:
        targets = parse_targets(order.targets)
        mesh = _rules(folder)
        scope = Scope(allow=order.permission.allow, do_not_scan=mesh, consents=[_consent(order)])
    except SpectraError as error:
        raise Refusal("bad_order", str(error)) from error
    prepared = await _checked(targets, scope, now, "")
    own = _own_rules(folder)
    if own:  # this machine's own list: another machine may do it
        both = Scope(allow=order.permission.allow, do_not_scan=[*mesh, *own], consents=[_consent(order)])
        prepared = await _checked(targets, both, now, "not_here")
    return prepared


async def _checked(targets: Sequence[Target], scope: Scope, now: datetime, reason: str) -> Prepared:
    try:
        return await prepare(targets, scope, now)
    except OutOfScope as error:
        raise Refusal(reason or error.reason, error.message) from error


def _consent(order: Order) -> Consent:
    said = order.permission
    return Consent(order.targets, said.by or "-", said.reason or "-", said.granted, said.expires)


def _rules(folder: Path) -> list[Rule]:
    """The mesh's list. Without it nothing is scanned."""
    try:
        book = msgspec.json.decode((folder / LAW).read_bytes(), type=LawBook)
    except (OSError, msgspec.DecodeError) as error:
        raise Refusal("law_unknown", f"the do-not-scan list of the mesh cannot be read: {error}") from error
    return [parse_rule(text, where="the mesh's list") for text in book.rules]


def _own_rules(folder: Path) -> list[Rule]:
    try:
        lines = _own_law.decode((folder / OWN_LAW).read_bytes())
        return [parse_rule(text, where=where) for text, where in lines]
    except (OSError, msgspec.DecodeError, SpectraError) as error:
        raise Refusal("law_unknown", f"this machine's do-not-scan list cannot be read: {error}") from error


async def _until_stopped(
    scan: Awaitable[tuple[RawOutput, ...]], stopped: asyncio.Future[None]
) -> tuple[RawOutput, ...]:
    """What a scan hands out: at its end, or where `stopped` comes first, soon after that."""
    scanning = asyncio.ensure_future(scan)
    await asyncio.wait((scanning, stopped), return_when=asyncio.FIRST_COMPLETED)
    if not scanning.done():
        scanning.cancel()
    try:
        return await scanning
    except asyncio.CancelledError as error:
        raise Refusal("stopped", "it was stopped before anything was scanned") from error


def _left(folder: Path, number: int, output: RawOutput) -> OutputFile:
    name = f"output-{number}"
    (folder / name).write_bytes(output.data)
    return OutputFile(
        file=name,
        tool=output.tool,
        tool_version=output.tool_version,
        scan_type=output.scan_type,
        started=output.started,
        finished=output.finished,
    )


def _with_usage(stats: Stats) -> Stats:
    """With what this process and those it waited for took (getrusage(2); ru_maxrss is in KiB on Linux)."""
    kinds = [resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in kinds)
    memory = max(one.ru_maxrss for one in kinds) // 1024
    return msgspec.structs.replace(stats, cpu_s=round(cpu, 3), memory_mb=memory)
