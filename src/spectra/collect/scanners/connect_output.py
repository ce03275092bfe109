"""The output of the built-in scanner: JSON lines, a header, one line per host, and a line that says it is complete."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from spectra import __version__
from spectra.collect.netset import IPAddress
from spectra.collect.scanners.base import MAX_OUTPUT, ScanRequest, utc_now
from spectra.collect.scanners.grab import Found
from spectra.model.envelope import Privacy
from spectra.model.observation import Service

TOOL = "spectra-connect"

_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class PortResult:
    """An open port and what was learnt of it."""

    port: int
    found: Found


@dataclass(frozen=True, slots=True)
class HostResult:
    """A host: open ports, and what all other scanned ports were (None: unknown, or there are none)."""

    ip: IPAddress
    names: tuple[str, ...]
    ports: list[PortResult]
    rest: Literal["closed", "filtered"] | None
    silent: bool = False


class Output:
    """Lines in memory. With meta-only, banners, titles and certificates never get in.

    `full` is set by the first line that would pass `MAX_OUTPUT` bytes; that line and those after it are not kept.
    """

    def __init__(self, request: ScanRequest, started: datetime) -> None:
        self._full = request.privacy is Privacy.FULL
        self._lines = io.BytesIO()
        self.hosts = 0
        self.found = 0
        self.full = False
        header = {"tool": TOOL, "version": __version__, "started": started, "ports": {"tcp": request.ports.tcp}}
        self._write({**header, "targets": [str(network) for network in request.targets.addresses.networks()]})

    def add(self, host: HostResult) -> None:
        """Write one host."""
        line: dict[str, object] = {"ip": str(host.ip), "time": utc_now()}
        if host.silent:
            self._write({**line, "silent": True})
            return
        line["hostnames"] = [{"name": name, "kind": "user"} for name in host.names]
        line["rest"] = host.rest
        line["ports"] = [self._port(port) for port in host.ports]
        if self._write(line):
            self.hosts += 1
            self.found += len(host.ports)

    def end(self, finished: datetime, *, stopped: bool) -> bytes:
        """Write the last line; the whole output."""
        self._lines.write(_JSON.encode({"finished": finished, "hosts": self.hosts, "stopped": stopped}) + b"\n")
        return self._lines.getvalue()

    def _port(self, port: PortResult) -> dict[str, object]:
        found = port.found
        return {
            "port": port.port,
            "protocol": "tcp",
            "state": "open",
            "service": _service(found.service),
            "banner": found.banner if self._full else "",
            "title": found.title if self._full else "",
            "tls": _tls(found) if self._full else None,
        }

    def _write(self, line: dict[str, object]) -> bool:
        data = _JSON.encode(line) + b"\n"
        self.full = self.full or self._lines.tell() + len(data) > MAX_OUTPUT
        if not self.full:
            self._lines.write(data)
        return not self.full


def _service(service: Service | None) -> dict[str, object] | None:
    if service is None:
        return None
    return {
        "name": service.name,
        "product": service.product,
        "version": service.version,
        "extra": service.extra,
        "cpe": service.cpe,
    }


def _tls(found: Found) -> dict[str, str] | None:
    if not found.certificate:
        return None
    return {"certificate": base64.b64encode(found.certificate).decode("ascii"), "version": found.tls}
