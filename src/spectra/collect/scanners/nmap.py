"""Scanning with an installed nmap: its XML, as it wrote it, goes into the envelope."""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Final

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
from spectra.collect.scanners.process import Ended, find, read_output, run_tool, tool_version, written
from spectra.errors import BadRequest
from spectra.model.envelope import Privacy
from spectra.model.presets import NmapOptions

INSTALL = "Install it (Debian, Ubuntu: apt install nmap; macOS: brew install nmap) or use --scanner connect."
# Above this many addresses hosts are looked for first; below, every address is scanned whether it answers or not.
DISCOVER_ABOVE = 1024

HARMFUL: Final = frozenset({"broadcast", "external", "dos"})
"""Categories of scripts that are never run: they ask others than the targets, or harm them."""
NO_SCRIPTS: Final = HARMFUL | {"all", "and", "or", "not", "true", "false"}
"""What is no name of a script in a preset: besides those, words of nmap's expressions."""

_SCRIPT_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")
_VERSION = re.compile(r"Nmap version (\S{1,40})")
_DONE = re.compile(rb"About (\d{1,3}\.\d\d)% done")
# nmap's own writer escapes <, > and " in every attribute and text, so these match what they name and nothing else.
_FINGERPRINT = re.compile(rb' servicefp="[^"]*"')
_SCRIPT = re.compile(rb"<script\b[^>]*/>|<script\b[^>]*[^/>]>.*?(?:</script>|\Z)|<script\b[^>]*\Z", re.DOTALL)
_HOSTNAMES = re.compile(
    rb'<address addr="([0-9a-fA-F.:]{2,45})" addrtype="ipv[46]"/>\s*(?:<address [^>]*/>\s*)*<hostnames>'
)


class NmapScanner:
    """nmap with service detection; SYN scan where raw sockets may be opened, else connect scan."""

    name = "nmap"
    one_family = True

    def version(self) -> str:
        """Such as `7.93`."""
        found = _VERSION.search(tool_version("nmap", "--version"))
        return found[1] if found else ""

    def available(self) -> bool:
        """Whether `nmap` is on the PATH and answers."""
        return bool(self.version())

    async def scan(self, request: ScanRequest, progress: Report) -> RawOutput:
        """Run nmap on `request`, addresses of one family; cancelled, it returns the hosts completed until then."""
        started = utc_now()
        admit(request, started)
        raw = raw_sockets()
        options = arguments(request, raw=raw)
        command = [find("nmap", INSTALL), *options]
        stdin = "".join(f"{line}\n" for line in request.targets.lines()).encode("ascii")
        with tempfile.TemporaryDirectory(prefix="spectra-nmap-") as name:
            xml = Path(name) / "out.xml"
            ended = await run_tool(
                command,
                Path(name),
                stdin=stdin,
                deadline_s=request.deadline_s,
                hear=_Hearing(progress).hear,
                stop_if=lambda: "stopped: the output is full" if written(xml) > MAX_OUTPUT else "",
            )
            data = read_output(xml)
        kind = _scan_type(request, raw=raw)
        return self._output(request, data, ended, started, kind, blind=request.nmap.system and not raw)

    def _output(
        self, request: ScanRequest, data: bytes, ended: Ended, started: datetime, kind: str, *, blind: bool
    ) -> RawOutput:
        if not ended.stopped and (ended.code != 0 or not data):
            raise ScanFailed(f"nmap ended with code {ended.code}: {ended.said or 'it said nothing'}")
        data = with_names(data, request.targets.names)
        if request.privacy is Privacy.META_ONLY:
            data = without_words(data)
        notes = [ended.stopped] if ended.stopped else []
        notes += ["systems are not told: nmap needs raw sockets for that"] if blind else []
        return RawOutput(
            tool="nmap",
            tool_version=self.version(),
            data=data,
            scan_type=kind,
            started=started,
            finished=utc_now(),
            stopped=bool(ended.stopped),
            notes=tuple(notes),
        )


def arguments(request: ScanRequest, *, raw: bool) -> list[str]:
    """nmap's options for `request`; `raw`: raw sockets may be opened. Targets go to standard input, as addresses.

    Raises `BadRequest` for two families in one run, or UDP without raw sockets.
    """
    v4, v6 = bool(request.targets.addresses.v4), bool(request.targets.addresses.v6)
    if v4 and v6:
        raise BadRequest("nmap scans IPv4 or IPv6 in one run, not both", field="targets")
    if request.ports.udp and not raw:
        raise BadRequest("nmap needs root to scan UDP ports", field="ports", hint="Leave out U: or run as root.")
    kinds = ["-sS" if raw else "-sT"] if request.ports.tcp else []
    kinds += ["-sU"] if request.ports.udp else []
    ports = [f"T:{brief(request.ports.tcp)}"] if request.ports.tcp else []
    ports += [f"U:{brief(request.ports.udp)}"] if request.ports.udp else []
    # Not --noninteractive: it silences --stats-every. In a session of its own nmap finds no terminal to read keys from.
    options = ["-n", "-v", *_wishes(request.nmap, raw=raw), *kinds, "--max-rate", str(request.rate)]
    options += [] if request.targets.addresses.size > DISCOVER_ABOVE else ["-Pn"]
    options += ["-6"] if v6 else []
    options += ["--privileged" if raw else "--unprivileged"]  # by capability, which nmap does not look for
    options += ["-e", request.interface] if request.interface else []
    return [*options, "-p", ",".join(ports), "--stats-every", "2s", "--no-stylesheet", "-oX", "out.xml", "-iL", "-"]


def _wishes(wishes: NmapOptions, *, raw: bool) -> list[str]:
    """What a preset wants besides ports. Names of scripts become an expression, in which nothing is a file's name and
    no script runs that would do something to others than the targets, or harm them.
    """
    options = [f"-T{wishes.timing}"]
    options += ["-sV"] if wishes.versions else []
    options += ["--version-intensity", str(wishes.intensity)] if wishes.versions and wishes.intensity != 7 else []
    options += ["-O"] if wishes.system and raw else []
    if wishes.scripts:
        wrong = [word for word in wishes.scripts if word in NO_SCRIPTS or not _SCRIPT_NAME.fullmatch(word)]
        if wrong:
            raise BadRequest(f"nmap: scripts {wrong[0][:60]!r} are not run", field="preset")
        options += ["--script", f"({' or '.join(wishes.scripts)}) and not ({' or '.join(sorted(HARMFUL))})"]
    return options


def with_names(xml: bytes, names: Mapping[IPAddress, tuple[str, ...]]) -> bytes:
    """`xml` with the names a user typed, as nmap writes them when it resolves a name itself.

    nmap gets addresses only: what was checked is what is scanned, and a second DNS answer cannot change it.
    """
    if not names:
        return xml

    def add(found: re.Match[bytes]) -> bytes:
        address = ip_address(found[1].decode("ascii"))
        lines = (f'\n<hostname name="{name}" type="user"/>' for name in names.get(address, ()))
        return found[0] + "".join(lines).encode("ascii")

    return _HOSTNAMES.sub(add, xml)


def without_words(xml: bytes) -> bytes:
    """`xml` without what services said: raw fingerprints and script output (-sV runs the version scripts)."""
    return _SCRIPT.sub(b"", _FINGERPRINT.sub(b"", xml))


@cache
def raw_sockets() -> bool:
    """Whether this process may open raw sockets: root may lack the capability, and others may hold it."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP).close()
    except OSError:
        return False
    return True


class _Hearing:
    """Reads progress from what nmap prints; a line may come in pieces."""

    def __init__(self, progress: Report) -> None:
        self._progress, self._rest, self._found = progress, b"", 0

    def hear(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data)[-256 * 1024 :].split(b"\n")
        for line in lines:
            self._found += line.startswith(b"Discovered open port ")
            done = _DONE.search(line)
            if done:
                task = line.partition(b" Timing:")[0].decode("ascii", "replace")
                self._progress(Progress(min(1.0, float(done[1]) / 100), self._found, task[:80]))


def _scan_type(request: ScanRequest, *, raw: bool) -> str:
    kinds = ["tcp-syn" if raw else "tcp-connect"] if request.ports.tcp else []
    return ",".join([*kinds, *(["udp"] if request.ports.udp else []), *(["service"] if request.nmap.versions else [])])
