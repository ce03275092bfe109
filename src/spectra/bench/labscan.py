"""One scan of the lab from inside its scanner's namespace: `python -m spectra.bench.labscan connect|nmap`.

It takes a `Task` as JSON on standard input, and prints `Told` as JSON.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import msgspec

from spectra.collect.consent import Consent
from spectra.collect.netset import NetSet
from spectra.collect.ports import parse_ports
from spectra.collect.relays import RelayMemory, Relays
from spectra.collect.scanners import choose
from spectra.collect.scanners.base import Progress, RawOutput, ScanRequest
from spectra.collect.scanners.relayed import run
from spectra.collect.scope import Scope
from spectra.collect.targets import TargetSet, parse_targets
from spectra.model.work import Endpoint


class Task(msgspec.Struct, kw_only=True):
    """What to scan, as the fields of `ScanRequest` say; relays as settings write them."""

    targets: list[str]
    ports: str
    rate: int = 1000
    timeout_s: float = 3.0
    relays: list[str] = []
    known: list[Endpoint] = []


class Told(msgspec.Struct):
    """What came of it."""

    outputs: list[RawOutput]
    memory: RelayMemory


def request_of(task: Task) -> ScanRequest:
    """The request, with consent for its targets for a day."""
    granted = datetime.now(UTC) - timedelta(seconds=1)
    words = tuple(task.targets)
    consent = Consent(words, "spectra bench", "a network made for it", granted, granted + timedelta(days=1))
    addresses = NetSet.union(target.addresses for target in parse_targets(words))
    return ScanRequest(
        targets=TargetSet(addresses, {}),
        ports=parse_ports(task.ports),
        scope=Scope(allow=words, consents=[consent]),
        rate=task.rate,
        timeout_s=task.timeout_s,
        relays=Relays.parse(task.relays),
        known=tuple((ip_address(one.ip), one.port) for one in task.known),
    )


def main() -> None:
    """Scan and print."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    request = request_of(task)
    outputs = asyncio.run(run(choose(sys.argv[1]), request, _ignored))
    memory = request.relays.memory() if request.relays else RelayMemory()
    sys.stdout.buffer.write(msgspec.json.encode(Told(list(outputs), memory)))


def _ignored(_: Progress) -> None:
    """Nobody watches."""


if __name__ == "__main__":
    main()
