"""Scanning with an installed naabu: open ports only, fast; its JSON lines go into the envelope."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

import msgspec

from spectra.collect.netset import IPAddress
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
from spectra.collect.scanners.nmap import raw_sockets
from spectra.collect.scanners.process import find, run_tool, tool_version, write_private

INSTALL = (
    "Install it (go install github.com/projectdiscovery/naabu/v2/cmd/naabu@latest, needs libpcap) "
    "or use --scanner connect."
)

_VERSION = re.compile(r"Version:?\s*v?(\d[\w.-]{0,40})")


class NaabuScanner:
    """naabu; SYN scan where raw sockets may be opened, else connect scan. It says nothing of closed ports."""

    name = "naabu"
    one_family = False

    def version(self) -> str:
        """Such as `2.3.1`."""
        found = _VERSION.search(tool_version("naabu", "-version", "-disable-update-check"))
        return found[1] if found else ""

    def available(self) -> bool:
        """Whether `naabu` is on the PATH and answers."""
        return bool(self.version())

    async def scan(self, request: ScanRequest, progress: Report) -> RawOutput:
        """Run naabu on `request`. Its output is empty if no port was open; then there is nothing to submit."""
        started = utc_now()
        admit(request, started)
        path, raw, heard = find("naabu", INSTALL), raw_sockets(), _Heard(progress)
        with tempfile.TemporaryDirectory(prefix="spectra-naabu-") as name:
            targets = "".join(f"{line}\n" for line in request.targets.lines())
            write_private(Path(name) / "targets.txt", targets.encode("ascii"))
            ended = await run_tool(
                [path, *arguments(request, raw=raw)],
                Path(name),
                stdin=b"",
                deadline_s=request.deadline_s,
                hear=heard.hear,
                stop_if=lambda: "stopped: the output is full" if heard.full else "",
            )
        if not ended.stopped and ended.code != 0:
            raise ScanFailed(f"naabu ended with code {ended.code}: {ended.said or 'it said nothing'}")
        return RawOutput(
            tool="naabu",
            tool_version=self.version(),
            data=with_names(bytes(heard.data), request.targets.names),
            scan_type="tcp-syn" if raw else "tcp-connect",
            started=started,
            finished=utc_now(),
            stopped=bool(ended.stopped),
            notes=(ended.stopped,) if ended.stopped else (),
        )


def arguments(request: ScanRequest, *, raw: bool) -> list[str]:
    """naabu's options for `request`; `raw`: raw sockets may be opened. The targets stand in `targets.txt`."""
    ports = [brief(request.ports.tcp)] if request.ports.tcp else []
    ports += [f"u:{word}" for word in brief(request.ports.udp).split(",") if word]
    options = ["-json", "-silent", "-no-color", "-disable-update-check", "-Pn", "-scan-type", "s" if raw else "c"]
    options += ["-rate", str(request.rate), "-c", str(min(request.concurrency, 1000))]
    options += ["-ip-version", "4,6"] if request.targets.addresses.v6 else []
    options += ["-interface", request.interface] if request.interface else []
    return [*options, "-p", ",".join(ports), "-list", "targets.txt"]


def with_names(lines: bytes, names: Mapping[IPAddress, tuple[str, ...]]) -> bytes:
    """`lines` with `host` set to the name a user typed, as naabu writes it when it resolves the name itself.

    naabu gets addresses only; a line whose address has several names is repeated for each.
    """
    if not names:
        return lines
    out: list[bytes] = []
    for line in lines.splitlines():
        try:
            record = msgspec.json.decode(line, type=dict[str, object])
            known = names.get(ip_address(str(record.get("ip"))), ())
        except (ValueError, msgspec.DecodeError):
            record, known = {}, ()
        out += [msgspec.json.encode({**record, "host": name}) for name in known] or [line]
    return b"".join(line + b"\n" for line in out)


class _Heard:
    """naabu's standard output, up to `MAX_OUTPUT` bytes."""

    def __init__(self, progress: Report) -> None:
        self._progress = progress
        self.data = bytearray()
        self.full = False

    def hear(self, piece: bytes) -> None:
        self.full = self.full or len(self.data) + len(piece) > MAX_OUTPUT
        if not self.full:
            self.data += piece
            # naabu does not say how far it is, only what it found.
            self._progress(Progress(0.0, self.data.count(b"\n")))
