"""The built-in scanner: TCP connect with asyncio, banners and TLS certificates. Needs no privileges and no tool."""

from __future__ import annotations

import asyncio
import resource

from spectra import __version__
from spectra.collect.netset import NetSet, short
from spectra.collect.relays import said_of
from spectra.collect.scanners.base import RawOutput, Report, ScanFailed, ScanRequest, admit, utc_now
from spectra.collect.scanners.connect_output import TOOL, Output
from spectra.collect.scanners.sweep import Sweep
from spectra.errors import BadRequest

QUIET_S = 1.5  # how long a service may take to speak first
SPARE_FILES = 64  # descriptors left to the rest of the process


class ConnectScanner:
    """`spectra-connect`: IPv4 and IPv6, open, closed and filtered told apart, services recognised."""

    name = "connect"
    one_family = False

    def __init__(self, *, quiet_s: float = QUIET_S) -> None:
        self._quiet_s = quiet_s

    def version(self) -> str:
        """The version of Spectra."""
        return __version__

    def available(self) -> bool:
        """Always."""
        return True

    async def scan(self, request: ScanRequest, progress: Report) -> RawOutput:
        """Scan the TCP ports of `request`; cancelled, return what was found with `stopped=True`."""
        started = utc_now()
        admit(request, started)
        if not request.ports.tcp:
            raise BadRequest("the built-in scanner knows TCP only", field="ports", hint="Use nmap for UDP ports.")
        output = Output(request, started)
        sweep = Sweep(request, output, progress, limit=socket_limit(), quiet_s=self._quiet_s)
        reason = await _until_done(sweep, request.deadline_s)
        sweep.close()
        if request.relays is not None and sweep.unsent and not reason:
            reason = "stopped: no relay works"
            if not output.hosts:
                raise ScanFailed(f"{reason.removeprefix('stopped: ')}: {'; '.join(sorted(sweep.unsent))}")
        finished = utc_now()
        return RawOutput(
            tool=TOOL,
            tool_version=__version__,
            data=output.end(finished, stopped=bool(reason)),
            scan_type="tcp-connect",
            started=started,
            finished=finished,
            stopped=bool(reason),
            notes=tuple(_notes(request, sweep, reason)),
            probes=sweep.probes,
            loss=sweep.paths.loss(),
        )


def socket_limit() -> int:
    """How many sockets this process may have open besides its other files (RLIMIT_NOFILE)."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 20_000 if soft == resource.RLIM_INFINITY else max(1, soft - SPARE_FILES, soft // 2)


async def _until_done(sweep: Sweep, deadline_s: float) -> str:
    """Run the sweep to its end; otherwise the reason why it was stopped."""
    try:
        async with asyncio.timeout(deadline_s):
            return "" if await sweep.run() else "stopped: the output is full"
    except TimeoutError:
        return f"stopped after {deadline_s:g} s"
    except asyncio.CancelledError:
        # The caller asked for an end, and gets what was found: the request is fulfilled here.
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        return "stopped on request"


def _notes(request: ScanRequest, sweep: Sweep, reason: str) -> list[str]:
    notes = [reason] if reason else []
    if request.ports.udp:
        notes.append(f"{request.ports.count('udp')} UDP ports were not scanned: the built-in scanner knows TCP only")
    if sweep.refused:
        refused = short(NetSet.ranges((ip, ip) for ip in sweep.refused))
        notes.append(f"not scanned, the law no longer permits it: {refused}")
    if sweep.odd:
        notes.append(f"{sweep.odd} services gave answers that could not be understood")
    if (loss := sweep.paths.loss()) is not None:
        notes += said_of(loss)
    notes += [f"{count} addresses could not be probed: {error}" for error, count in sorted(sweep.unsent.items())]
    return notes
