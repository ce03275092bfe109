"""Scanning with an installed BBOT (3 or later): web and name reconnaissance; its events go into the envelope.

BBOT takes its orders from a file in the working folder; no word of a preset stands on the command line. It is started
by its own Python with its habit of installing system packages taken away: a scan installs nothing. What the law
forbids is on its blacklist, and what it tells of is held against the law once more before it is kept.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from spectra.collect.netset import IPAddress
from spectra.collect.ports import brief
from spectra.collect.scanners.base import (
    MAX_OUTPUT,
    NotInstalled,
    Progress,
    RawOutput,
    Report,
    ScanFailed,
    ScanRequest,
    admit,
    utc_now,
)
from spectra.collect.scanners.process import printed, read_output, run_tool, write_private, written
from spectra.errors import BadRequest
from spectra.model.envelope import Privacy

INSTALL: Final = "Install it (pipx install bbot; version 3 or later) or choose a preset without BBOT."

_VERSION = re.compile(r"^(\d{1,4})\.[0-9A-Za-z.+-]{1,40}$", re.MULTILINE)
_ASK_VERSION: Final = "import importlib.metadata as m; print(m.version('bbot'))"
_START: Final = """
from bbot.core.helpers.depsinstaller.installer import DepsInstaller
async def install_core_deps(self):
    pass
assert callable(DepsInstaller.install_core_deps)
DepsInstaller.install_core_deps = install_core_deps
from bbot.cli import main
main()
"""
# What says nothing but where something is; all other events quote services.
_BARE: Final = frozenset({"SCAN", "IP_ADDRESS", "DNS_NAME", "OPEN_TCP_PORT", "OPEN_UDP_PORT"})
_FOUND: Final = b"[OPEN_TCP_PORT]"


class BbotScanner:
    """BBOT. It scans no ports itself: it asks those of the request for web servers."""

    name = "bbot"
    one_family = False

    def version(self) -> str:
        """Such as `3.0.2`."""
        python = _python()
        found = _VERSION.search(printed(python, "-I", "-c", _ASK_VERSION)) if python else None
        return found[0] if found else ""

    def available(self) -> bool:
        """Whether BBOT is on the PATH in an environment of its own, in a version that is known."""
        found = _VERSION.match(self.version())
        return found is not None and int(found[1]) >= 3

    async def scan(self, request: ScanRequest, progress: Report) -> RawOutput:
        """Run BBOT as `request.bbot` says on the names of the targets, and on addresses without any.

        Raises `BadRequest` where it is not told what to run, or for ports it knows nothing of.
        """
        started = utc_now()
        admit(request, started)
        orders, python, heard = preset(request), _python(), _Heard(progress)
        if python is None:
            raise NotInstalled("BBOT is not installed on this machine.", hint=INSTALL)
        with tempfile.TemporaryDirectory(prefix="spectra-bbot-") as name:
            folder = Path(name)
            write_private(folder / "orders.yml", msgspec.json.encode(orders))  # JSON is YAML
            events = folder / "events.json"
            ended = await run_tool(
                [str(python), "-I", "-c", _START, "-p", "./orders.yml", "-y", "--no-color"],
                folder,
                stdin=b"",
                deadline_s=request.deadline_s,
                hear=heard.hear,
                stop_if=lambda: "stopped: the output is full" if written(events) > MAX_OUTPUT else "",
            )
            data = read_output(events)
        if not ended.stopped and (ended.code != 0 or not data):
            said = "\n".join(line for line in ended.said.splitlines() if line.startswith(("[ERRR]", "[WARN]")))
            raise ScanFailed(f"BBOT ended with code {ended.code}: {(said or ended.said)[-2000:] or 'it said nothing'}")
        notes = [ended.stopped] if ended.stopped else []
        notes += ["UDP ports were not asked: BBOT knows TCP only here"] if request.ports.udp else []
        return RawOutput(
            tool="bbot",
            tool_version=self.version(),
            data=b"".join(kept(data, request)),
            scan_type="bbot",
            started=started,
            finished=utc_now(),
            stopped=bool(ended.stopped),
            notes=tuple(notes),
        )


def preset(request: ScanRequest) -> dict[str, Any]:
    """BBOT's own preset for `request`, as its documentation has it (scanning/presets). Raises `BadRequest`."""
    options = request.bbot
    if not (options.presets or options.flags or options.modules):
        raise BadRequest("BBOT has to be told presets, flags or modules", field="preset")
    if not request.ports.tcp:
        raise BadRequest("BBOT knows TCP ports only", field="ports")
    ports = brief(request.ports.tcp)
    return {
        "target": _targets(request),
        "blacklist": list(request.scope.forbidden()),
        "include": options.presets,
        "flags": options.flags,
        "modules": options.modules,
        "exclude_modules": ["csv", "txt", *options.exclude],
        "output_modules": ["json"],
        "scan_name": "scan",
        "output_dir": "out",
        "config": {
            "home": "home",
            "deps": {"behavior": "disable"},
            "scope": {"strict": options.strict, "report_distance": 0, "search_distance": 0},
            "dns": {"minimal": options.strict},
            "cloudcheck": False,  # asks a third party for lists
            "web": {"http_rate_limit": request.rate, "http_timeout": max(1, round(request.timeout_s))},
            "omit_event_types": ["RAW_TEXT", "URL_UNVERIFIED", "WEB_PARAMETER", "FILESYSTEM", "RAW_DNS_RECORD"],
            "modules": {
                "json": {"output_file": "events.json"},
                "speculate": {"ports": ports},
                "portscan": {"ports": ports, "rate": request.rate, "adapter": request.interface},
            },
        },
    }


def kept(data: bytes, request: ScanRequest) -> Iterator[bytes]:
    """The lines of BBOT's events that may be told of.

    Never what the law forbids, nor the list of it. With `strict` only the targets themselves, and of the addresses of
    a name only those that the request has. With meta-only no event that quotes what a service said.
    """
    names = {name for each in request.targets.names.values() for name in each}
    bare = request.privacy is Privacy.META_ONLY
    for line in data.splitlines():
        try:
            event = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError:
            continue
        if bare and event.get("type") not in _BARE:
            continue
        if _without_orders(event) if event.get("type") == "SCAN" else _lawful(event, request, names):
            yield msgspec.json.encode(event) + b"\n"


def _without_orders(event: dict[str, Any]) -> bool:
    """True; the event of the scan itself loses our own orders, which hold the whole do-not-scan list."""
    fields = event.get("data_json")
    if isinstance(fields, dict):
        told = cast("dict[str, Any]", fields)
        told.pop("preset", None)
        if isinstance(told.get("target"), dict):
            told["target"].pop("blacklist", None)
    return True


def _lawful(event: dict[str, Any], request: ScanRequest, names: set[str]) -> bool:
    """Whether to keep an event, which loses the addresses that are not to be told of."""
    host = event.get("host")
    if not isinstance(host, str):
        return False
    address, strict = _address(host), request.bbot.strict
    resolved = [ip for text in event.get("resolved_hosts") or () if (ip := _address(text)) is not None]
    if strict:
        ours = address in request.targets.addresses if address else host.lower() in names
        left = [ip for ip in resolved if ip in request.targets.addresses]
    else:
        ours, left = True, resolved
    if request.scope.forbids(address, () if address else (host.lower(),)):
        return False
    left = [ip for ip in left if not request.scope.forbids(ip)]
    event["resolved_hosts"] = [str(ip) for ip in left]
    return ours and (not resolved or bool(left))


def _targets(request: ScanRequest) -> list[str]:
    """Names where the user gave one, addresses and networks where not."""
    names: Mapping[IPAddress, tuple[str, ...]] = request.targets.names
    if not names:
        return list(request.targets.lines())
    nameless = (str(ip) for ip in request.targets.addresses if ip not in names)
    return [*dict.fromkeys(name for each in names.values() for name in each), *nameless]


def _address(text: object) -> IPAddress | None:
    try:
        return ip_address(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _python() -> Path | None:
    """The Python of the environment that BBOT is installed in."""
    program = shutil.which("bbot")
    beside = Path(program).resolve().parent / "python" if program else None
    return beside if beside is not None and os.access(beside, os.X_OK) else None


class _Heard:
    """BBOT prints each event; open ports are what it has found."""

    def __init__(self, progress: Report) -> None:
        self._progress, self._rest, self._found = progress, b"", 0

    def hear(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data)[-256 * 1024 :].split(b"\n")
        self._found += sum(line.startswith(_FOUND) for line in lines)
        self._progress(Progress(0.0, self._found))
