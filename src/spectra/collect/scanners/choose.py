"""Which scanner to use, and running it once per address family where it needs that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from spectra.collect.scanners import bbot, masscan, naabu, nmap
from spectra.collect.scanners.base import NotInstalled, RawOutput, Report, Scanner, ScanRequest, UnknownScanner
from spectra.collect.scanners.connect import ConnectScanner
from spectra.model.presets import ScanTool

NAMES = ("auto", "naabu", "nmap", "connect", "masscan")  # BBOT has to be told what to run: by a preset
_AUTO = ("naabu", "nmap", "connect")

_INSTALL = {"naabu": naabu.INSTALL, "nmap": nmap.INSTALL, "masscan": masscan.INSTALL, "bbot": bbot.INSTALL}


def known() -> Sequence[Scanner]:
    """One of each scanner, those that `auto` may take first and in order of preference."""
    return (
        naabu.NaabuScanner(),
        nmap.NmapScanner(),
        ConnectScanner(),
        masscan.MasscanScanner(),
        bbot.BbotScanner(),
    )


def choose(name: str = "auto", scanners: Sequence[Scanner] | None = None) -> Scanner:
    """The scanner called `name`; `auto` takes naabu, else nmap, else the built-in one.

    Raises `UnknownScanner` for a name that does not exist, `NotInstalled` for a tool that is not on this machine.
    """
    if name not in NAMES:
        raise UnknownScanner(f"{name[:40]!r} is not a scanner.", field="scanner", hint=f"Choose {', '.join(NAMES)}.")
    for scanner in known() if scanners is None else scanners:
        asked = scanner.name in _AUTO if name == "auto" else scanner.name == name
        if asked and scanner.available():
            return scanner
    raise NotInstalled(f"{name} is not installed on this machine.", hint=_INSTALL.get(name, ""))


def choose_of(tools: Sequence[ScanTool], scanners: Sequence[Scanner] | None = None) -> Scanner:
    """The first of a preset's `tools` that this machine has; raises `NotInstalled` where it has none of them."""
    by_name = {scanner.name: scanner for scanner in (known() if scanners is None else scanners)}
    for tool in tools:
        if tool in by_name and by_name[tool].available():
            return by_name[tool]
    hint = next((_INSTALL[tool] for tool in tools if tool in _INSTALL), "")
    raise NotInstalled(f"none of {', '.join(tools)} is installed on this machine.", hint=hint)


def installed(scanners: Sequence[Scanner] | None = None) -> tuple[ScanTool, ...]:
    """The tools that this machine can scan with, as it tells coordinators. Starts each of them once."""
    have = {scanner.name for scanner in (known() if scanners is None else scanners) if scanner.available()}
    return tuple(tool for tool in get_args(ScanTool) if tool in have)


async def run(scanner: Scanner, request: ScanRequest, progress: Report) -> tuple[RawOutput, ...]:
    """Scan with `scanner`: one output, or one per address family for a tool that takes one at a time.

    A stopped run is the last: what the user ended is not begun again with the other family.
    """
    if not scanner.one_family:
        return (await scanner.scan(request, progress),)
    outputs: list[RawOutput] = []
    for targets in request.targets.families() or (request.targets,):
        outputs.append(await scanner.scan(replace(request, targets=targets), progress))
        if outputs[-1].stopped:
            break
    return tuple(outputs)
