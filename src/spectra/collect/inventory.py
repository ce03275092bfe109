"""What this machine can do: its scanners and their versions, cores, memory, graphics cards; and how busy it is.

Each tool is run once for its version and again only when its file changed: an agent looks every hour, on a board whose
processor has other things to do. Whatever cannot be told is left out, never an error.
"""

from __future__ import annotations

import os
import platform
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from spectra import __version__
from spectra.model.nodes import Capabilities, Load, Tool

BUILT_IN: Final = "connect"
"""The scanner that needs nothing but Python."""

VERSION_WITHIN_S: Final = 20.0  # bbot imports for seconds on a slow board
MAX_SAID: Final = 16 * 1024
MAX_GPUS: Final = 16
_MAX_TEXT: Final = 200
_MIB: Final = 1024 * 1024


class _Probe(NamedTuple):
    """How a tool is asked for its version, and where that stands in what it says."""

    arguments: tuple[str, ...]
    version: re.Pattern[str]


_NUMBER: Final = r"v?(\d[\w.+-]{0,40})"
TOOLS: Final[Mapping[str, _Probe]] = {
    "nmap": _Probe(("--version",), re.compile(rf"Nmap version {_NUMBER}")),
    "masscan": _Probe(("--version",), re.compile(rf"Masscan version {_NUMBER}")),
    "naabu": _Probe(("-version", "-disable-update-check"), re.compile(rf"Version:?\s*{_NUMBER}")),
    "bbot": _Probe(("--version",), re.compile(rf"(?:bbot\s*)?{_NUMBER}", re.IGNORECASE)),
    "nuclei": _Probe(("-version", "-disable-update-check"), re.compile(rf"Version:?\s*{_NUMBER}")),
}
_GPU_QUERY: Final = ("--query-gpu=name,memory.total", "--format=csv,noheader")


class Inventory:
    """Looks at this machine; remembers what each tool said as long as its file stays the same."""

    def __init__(self, *, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> None:
        self._proc = proc
        self._sys = sys
        self._said: dict[tuple[str, int, int], str] = {}

    def capabilities(self, *, region: str = "", relay: bool = False) -> Capabilities:
        """What this machine can do now. Takes seconds the first time."""
        return Capabilities(
            cores=cores(),
            memory_mb=self._memory("MemTotal"),
            arch=_text(platform.machine()),
            os=_text(_system()),
            software=__version__,
            tools=tuple(self._tools()),
            gpus=self._gpus(),
            region=_text(region),
            relay=relay,
            raw=self._raw(),
        )

    def load(self, tasks: int = 0) -> Load:
        """How busy this machine is; cheap."""
        try:
            busy = os.getloadavg()[0] / max(cores(), 1)
        except OSError:
            busy = 0.0
        return Load(cpu=round(min(busy, 1e6), 3), memory_free_mb=self._memory("MemAvailable"), tasks=tasks)

    def _tools(self) -> list[Tool]:
        found = [Tool(BUILT_IN, __version__)]
        for name, probe in TOOLS.items():
            path = shutil.which(name)
            if path is not None:
                match = probe.version.search(self._once(path, probe.arguments))
                found.append(Tool(name, match[1] if match else ""))
        return found

    def _raw(self) -> bool:
        """Whether this process may open raw sockets: CAP_NET_RAW (13, capabilities(7)) is in effect."""
        with suppress(OSError, ValueError):
            for line in (self._proc / "self" / "status").read_text("ascii", "replace").splitlines():
                if line.startswith("CapEff:"):
                    return bool(int(line.split()[1], 16) >> 13 & 1)
        return False

    def _once(self, path: str, arguments: Sequence[str]) -> str:
        """What the tool says, from memory where its file is the same."""
        try:
            status = Path(path).stat()
        except OSError:
            return ""
        mark = (path, status.st_mtime_ns, status.st_size)
        if mark not in self._said:
            self._said = {kept: said for kept, said in self._said.items() if kept[0] != path}
            self._said[mark] = said_by((path, *arguments))
        return self._said[mark]

    def _gpus(self) -> tuple[str, ...]:
        """By nvidia-smi where that is, and every other card that the kernel drives."""
        found: list[str] = []
        smi = shutil.which("nvidia-smi")
        if smi is not None:
            lines = said_by((smi, *_GPU_QUERY)).splitlines()
            found += [_text(line) for line in lines if "," in line]
        for card in sorted(self._sys.glob("class/drm/card[0-9]*")):
            if not card.name.removeprefix("card").isdigit():  # `card0-HDMI-A-1` is a connector
                continue
            driver = _link(card / "device" / "driver")
            if driver and not (driver == "nvidia" and found):
                ids = ":".join(_hex(card / "device" / name) for name in ("vendor", "device")).strip(":")
                found.append(_text(f"{driver} {ids}".strip()))
        return tuple(found[:MAX_GPUS])

    def _memory(self, key: str) -> int:
        """A line of /proc/meminfo, in MiB; 0 where it is not there. A container's bound counts where it is lower."""
        kilobytes = 0
        with suppress(OSError, ValueError):
            for line in (self._proc / "meminfo").read_text("ascii").splitlines():
                if line.startswith(f"{key}:"):
                    kilobytes = int(line.split()[1])
        found = kilobytes // 1024
        with suppress(OSError, ValueError):  # `max` where there is no bound
            group = self._sys / "fs" / "cgroup"
            bound = int((group / "memory.max").read_text("ascii")) // _MIB
            used = int((group / "memory.current").read_text("ascii")) // _MIB
            found = min(found, bound if key == "MemTotal" else max(bound - used, 0))
        return found


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def said_by(command: Sequence[str], within_s: float = VERSION_WITHIN_S) -> str:
    """What a program prints, at most 16 KB and as far as it comes in time; it and what it started are ended then.

    Nothing of our environment reaches it, and what it writes into its home goes with it.
    """
    with tempfile.TemporaryDirectory(prefix="spectra-tool-") as home:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "LANG": "C"}
        try:
            process = subprocess.Popen(
                command,
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError:
            return ""
        try:
            said = _heard(process, time.monotonic() + within_s)
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
    return re.sub(r"\x1b\[[0-9;]*m", "", said.decode("utf-8", "replace"))


def _heard(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    assert process.stdout is not None
    fd = process.stdout.fileno()
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    data = b""
    while len(data) < MAX_SAID and (left := deadline - time.monotonic()) > 0:
        if poll.poll(left * 1000):
            chunk = os.read(fd, MAX_SAID - len(data))
            if not chunk:
                break
            data += chunk
    return data


def _system() -> str:
    with suppress(OSError):
        told = platform.freedesktop_os_release()
        return told.get("PRETTY_NAME") or told.get("NAME", "")
    return f"{platform.system()} {platform.release()}"


def _link(path: Path) -> str:
    try:
        return path.readlink().name
    except OSError:
        return ""


def _hex(path: Path) -> str:
    try:
        return path.read_text("ascii").strip().removeprefix("0x")[:8]
    except (OSError, UnicodeDecodeError):
        return ""


def _text(text: str) -> str:
    """As a capability may be spelled: one line, bounded."""
    return "".join(c for c in text if c.isprintable()).strip()[:_MAX_TEXT]
