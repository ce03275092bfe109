"""Scanning with an installed masscan: open ports only, without state and so very fast; its JSON goes into the envelope.

masscan has a TCP of its own: it writes Ethernet frames and has to be told the interface and the next hop (`nexthop`).
What its way of sending cannot reach (loopback, tunnels) is refused and not scanned silently by nobody.
"""

from __future__ import annotations

import asyncio
import re
import signal
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from spectra.collect.netset import NetSet, short
from spectra.collect.ports import brief
from spectra.collect.scanners.base import (
    MAX_OUTPUT,
    Progress,
    RawOutput,
    Report,
    ScanFailed,
    ScanRequest,
    admit,
    utc_now,
)
from spectra.collect.scanners.nexthop import NextHop, next_hops
from spectra.collect.scanners.nmap import raw_sockets
from spectra.collect.scanners.process import Ended, find, read_output, run_tool, tool_version, write_private, written
from spectra.collect.targets import TargetSet

INSTALL = "Install it (Debian, Ubuntu: apt install masscan) or use --scanner connect."
WAIT_S = 3  # for answers after the last packet; also after SIGINT, so less than the grace of `run_tool`

_VERSION = re.compile(r"Masscan version (\S{1,40})")
_DONE = re.compile(rb"([0-9]{1,3}\.[0-9]{2})% done.*?found=([0-9]{1,10})")


class MasscanScanner:
    """masscan. It says nothing of closed ports or of services, and needs raw sockets."""

    name = "masscan"
    one_family = True

    def version(self) -> str:
        """Such as `1.3.2`."""
        found = _VERSION.search(tool_version("masscan", "--version"))
        return found[1] if found else ""

    def available(self) -> bool:
        """Whether `masscan` is on the PATH and raw sockets may be opened."""
        return raw_sockets() and bool(self.version())

    async def scan(self, request: ScanRequest, progress: Report) -> RawOutput:
        """Run masscan on `request`, once for each next hop. Its output is empty if no port was open.

        Raises `BadRequest` for targets that its frames cannot reach.
        """
        started, until = utc_now(), time.monotonic() + request.deadline_s
        admit(request, started)
        path = find("masscan", INSTALL)
        if not raw_sockets():
            raise ScanFailed("masscan needs raw sockets, which this process may not open")
        found, missing = await asyncio.to_thread(next_hops, request.targets.addresses, request.interface)
        data, notes, stopped = b"", list[str](), ""
        for way in found:
            part = replace(request, targets=TargetSet(way.targets), deadline_s=max(1.0, until - time.monotonic()))
            ended, more = await _run(path, part, way, _Share(progress, len(found), found.index(way)), len(data))
            data, stopped = data + more, ended.stopped
            if not stopped and ended.code != 0:
                raise ScanFailed(f"masscan ended with code {ended.code}: {ended.said or 'it said nothing'}")
            if stopped:
                notes.append(stopped)
                break
        if missing:
            notes.append(f"not scanned, no frame reaches them on the link: {short(missing)}")
        return RawOutput(
            tool="masscan",
            tool_version=self.version(),
            data=data,
            scan_type="tcp-syn" if not request.ports.udp else "tcp-syn,udp" if request.ports.tcp else "udp",
            started=started,
            finished=utc_now(),
            stopped=bool(stopped),
            notes=tuple(notes),
        )


def arguments(request: ScanRequest, way: NextHop) -> list[str]:
    """masscan's options for `request`. The targets stand in `targets.txt`; it writes JSON lines to `out.json`."""
    ports = [brief(request.ports.tcp)] if request.ports.tcp else []
    ports += [f"U:{word}" for word in brief(request.ports.udp).split(",") if word]
    family = "ipv6" if request.targets.addresses.v6 else "ipv4"
    options = ["-iL", "targets.txt", "-oD", "out.json", "-p", ",".join(ports), "--rate", str(request.rate)]
    options += ["-e", way.interface, f"--router-mac-{family}", way.mac.replace(":", "-")]
    options += ["--adapter-ip", way.source] if way.source else []
    return [*options, "--wait", str(WAIT_S), "--retries", "1"]


async def _run(path: str, request: ScanRequest, way: NextHop, share: _Share, held: int) -> tuple[Ended, bytes]:
    with tempfile.TemporaryDirectory(prefix="spectra-masscan-") as name:
        folder = Path(name)
        write_private(folder / "targets.txt", _targets(request.targets.addresses))
        out = folder / "out.json"
        ended = await run_tool(
            [path, *arguments(request, way)],
            folder,
            stdin=b"",
            deadline_s=request.deadline_s,
            hear=lambda _: None,
            complain=share.hear,
            politely=signal.SIGINT,  # it then waits for answers on their way, and writes what it knows
            stop_if=lambda: "stopped: the output is full" if held + written(out) > MAX_OUTPUT else "",
        )
        return ended, _read(out, MAX_OUTPUT - held)


class _Share:
    """masscan's own progress as a share of all its runs; it writes over one line, with carriage returns between."""

    def __init__(self, progress: Report, runs: int, before: int) -> None:
        self._progress, self._runs, self._before, self._rest = progress, runs, before, b""

    def hear(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data)[-64 * 1024 :].split(b"\r")
        for line in lines:
            done = _DONE.search(line)
            if done:
                fraction = (self._before + min(1.0, float(done[1]) / 100)) / self._runs
                self._progress(Progress(fraction, int(done[2])))


def _targets(addresses: NetSet) -> bytes:
    return "".join(f"{line}\n" for line in TargetSet(addresses).lines()).encode("ascii")


def _read(path: Path, limit: int) -> bytes:
    """What masscan wrote, whole lines of it."""
    data = read_output(path, max(limit, 0))
    return data[: data.rfind(b"\n") + 1]
