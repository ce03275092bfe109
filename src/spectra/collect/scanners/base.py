"""The contract of a scanner: a checked request in, a tool's own output out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from spectra.collect.netset import IPAddress
from spectra.collect.ports import Ports, parse_ports
from spectra.collect.relays import Relays
from spectra.collect.scope import Scope
from spectra.collect.targets import MAX_ADDRESSES, TargetSet, too_many
from spectra.errors import BadRequest, SetupError, SpectraError
from spectra.model.envelope import Privacy
from spectra.model.presets import BbotOptions, NmapOptions, Preset
from spectra.model.work import Loss

MAX_OUTPUT = 512 * 1024 * 1024  # bytes; half of what the gate takes by default

_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}")  # IFNAMSIZ - 1; never an option


class UnknownScanner(BadRequest):
    """No scanner of that name exists."""

    reason = "unknown_scanner"


class NotInstalled(SetupError):
    """The scanner exists, but not on this machine; the hint tells how to install it."""

    reason = "scanner_not_installed"


class ScanFailed(SpectraError):
    """A scanner ended without usable output; the message carries what it said on standard error."""

    reason = "scan_failed"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """What to scan and how hard. `scope` travels with it: every scanner asks it again before the first packet.

    `rate`: most probes or packets a second; `concurrency`: most connections open at once; `timeout_s`: longest wait
    for one connection or banner; `deadline_s`: longest time of the whole scan; `interface`: the one to send from;
    `grab`: whether the built-in scanner asks open ports what they are; `nmap`, `bbot`: options of those tools alone;
    `relays`: the ways to send through (see `relayed.py`); `known`: TCP endpoints lately open, to measure loss by.
    """

    targets: TargetSet
    ports: Ports
    scope: Scope
    rate: int = 1000
    concurrency: int = 500
    timeout_s: float = 3.0
    deadline_s: float = 24 * 3600.0
    privacy: Privacy = Privacy.FULL
    interface: str = ""
    relays: Relays | None = None
    known: tuple[tuple[IPAddress, int], ...] = ()
    grab: bool = True
    nmap: NmapOptions = field(default_factory=NmapOptions)
    bbot: BbotOptions = field(default_factory=BbotOptions)

    @classmethod
    def of(
        cls,
        preset: Preset,
        targets: TargetSet,
        scope: Scope,
        *,
        ports: str,
        rate: int,
        deadline_s: float,
        interface: str = "",
    ) -> ScanRequest:
        """A scan as `preset` says, within `rate` and `deadline_s`; its own where they are lower. Raises `BadRequest`.

        `ports` as the command line takes them, empty: the preset's.
        """
        request = cls(
            targets=targets,
            ports=parse_ports(ports or preset.ports),
            scope=scope,
            rate=min(rate, preset.rate or rate),
            deadline_s=min(deadline_s, preset.deadline_s),
            privacy=preset.privacy,
            interface=interface,
            grab=preset.grab,
            nmap=preset.nmap,
            bbot=preset.bbot,
        )
        return replace(request, timeout_s=preset.timeout_s) if preset.timeout_s else request


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is: `fraction` 0..1 (of the phase a tool reports), endpoints found, and the tool's own words."""

    fraction: float
    found: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawOutput:
    """A tool's output, to be signed as it is. `stopped`: it ended early and holds what was found until then.

    `probes`: attempts made, as far as the tool tells; `loss`: what was lost on the way, where relays were used.
    """

    tool: str
    tool_version: str
    data: bytes
    scan_type: str
    started: datetime
    finished: datetime
    stopped: bool = False
    notes: tuple[str, ...] = ()
    probes: int = 0
    loss: Loss | None = None


Report = Callable[[Progress], None]


class Scanner(Protocol):
    """One tool. `one_family`: a run takes IPv4 or IPv6, not both (see `choose.run`).

    Cancelling `scan` stops the tool and makes it return what was found, with `stopped=True`.
    """

    name: str
    one_family: bool

    def version(self) -> str:
        """The tool's version, empty if it cannot be told."""
        ...

    def available(self) -> bool:
        """Whether it can run on this machine."""
        ...

    async def scan(self, request: ScanRequest, progress: Report) -> RawOutput:
        """Run it. Raises `OutOfScope`, `BadRequest` for what the tool cannot do, `ScanFailed`, `NotInstalled`."""
        ...


def admit(request: ScanRequest, now: datetime) -> None:
    """The check every scanner makes before its first packet.

    1. the law, on every address and name; 2. bounds; 3. words that will stand on a command line.
    """
    request.scope.check(request.targets, now)
    if request.targets.addresses.size > MAX_ADDRESSES:
        raise too_many(request.targets.addresses.size, "the request")
    if not request.ports.tcp and not request.ports.udp:
        raise BadRequest("no ports to scan", reason="bad_ports", field="ports")
    for name, value, top in (
        ("rate", request.rate, 1_000_000),
        ("concurrency", request.concurrency, 20_000),
        ("timeout_s", request.timeout_s, 60),
        ("deadline_s", request.deadline_s, 30 * 24 * 3600),
    ):
        if not 0 < value <= top:
            raise BadRequest(f"{name} is {value}; it must be above 0 and at most {top}", field=name)
    if request.interface and not _INTERFACE.fullmatch(request.interface):
        raise BadRequest(f"{request.interface[:40]!r} is not the name of an interface", field="interface")


def utc_now() -> datetime:
    """The clock of the scanners."""
    return datetime.now(UTC)
