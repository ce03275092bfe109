"""Scanning through relays: the built-in scanner takes and changes them by itself, a tool gets the interface of one.

What a tool lost on the way is measured afterwards, by asking endpoints known to be open again: by the way it took, and
by a second vantage point.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from spectra.collect.relays import Relay, Relays, network_of, said_of
from spectra.collect.scanners.base import RawOutput, Report, Scanner, ScanRequest, admit, utc_now
from spectra.collect.scanners.choose import run as run_straight
from spectra.collect.scanners.ways import Door, answering
from spectra.errors import BadRequest


async def run(scanner: Scanner, request: ScanRequest, progress: Report) -> tuple[RawOutput, ...]:
    """As `choose.run`, through `request.relays` if there are any; the loss is told with the last output.

    Raises `BadRequest` where every relay is SOCKS, which the tool does not speak.
    """
    relays = request.relays
    if relays is None or scanner.name == "connect":
        return await run_straight(scanner, request, progress)
    admit(request, utc_now())
    network = network_of(next(iter(request.targets.addresses)))
    interface = relays.interface(network, _now())
    if interface is None:
        raise BadRequest(
            f"{scanner.name} cannot send through SOCKS.",
            field="relays",
            hint="Add interface:NAME or direct to worker.relays, or use the built-in scanner.",
        )
    outputs = await run_straight(scanner, replace(request, interface=interface, relays=None), progress)
    via = next(one for one in relays.all if one.kind != "socks5" and one.interface == interface)
    await measure(request, relays, via)
    last, loss = outputs[-1], relays.loss()
    return (*outputs[:-1], replace(last, loss=loss, notes=(*last.notes, *said_of(loss))))


async def measure(request: ScanRequest, relays: Relays, via: Relay) -> None:
    """Ask the endpoints `request` knows of by `via`, those that are silent by another relay; tell `relays`."""
    scanned = [(ip, port) for ip, port in request.known if ip in request.targets.addresses]
    for network in sorted({network_of(ip) for ip, _ in scanned}):
        known = [one for one in scanned if network_of(one[0]) == network]
        silent = set(known) - await answering(known, Door(via), request)
        for vantage in relays.vantages(network, _now(), via):
            answered = await answering(silent, Door(vantage), request)
            if answered or not silent:
                relays.compared(network, via, vantage, asked=len(silent), answered=len(answered))
                break
        else:
            continue
        if 2 * len(answered) > len(known):
            relays.dropped(network, via, _now())


def _now() -> float:
    return datetime.timestamp(utc_now())
