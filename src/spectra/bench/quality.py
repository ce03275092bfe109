"""`spectra bench --quality`: the built-in scanner beside `nmap -sV`, on fifty hosts whose services are known.

Both scan the same ports of the same addresses from the same place, one after the other; both outputs are read by the
parsers that read everybody's. The lab says what is open, so recall is of the truth and not of the other's findings.
"""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from spectra.bench.lab import Lab, Packets, lab
from spectra.bench.labscan import Task, Told
from spectra.bench.saying import Say, silent
from spectra.collect.scanners.nmap import INSTALL, NmapScanner
from spectra.errors import SetupError, SpectraError
from spectra.ingest.parsers import Context, parse
from spectra.model.envelope import Privacy
from spectra.model.observation import HostSeen, Service

Place = tuple[str, int]

_WITHIN_S: Final = 1800


class Run(NamedTuple):
    """One scan: open endpoints with what was recognised there, packets over the wire, seconds, attempts if told."""

    found: dict[Place, Service]
    packets: Packets
    seconds: float
    probes: int


class Result(msgspec.Struct, kw_only=True):
    """The keys of the JSON object; `nmap_` is the peer's side of the same.

    `recall`: the share of open endpoints that were found; `recall_limited`: of those on hosts that take only so many
    connections or lose packets; `false_open`: endpoints found that are not open; `named`: open endpoints whose service
    was named rightly, TLS included; `better`: those of them that nmap did not, `worse`: the other way round;
    `versioned`: endpoints with a product and a version.
    Packets are all that went over the scanner's wire, seconds of the whole run, process start included.
    """

    hosts: int
    ports: int
    endpoints: int
    recall: float
    nmap_recall: float
    recall_limited: float
    nmap_recall_limited: float
    false_open: int
    nmap_false_open: int
    named: int
    nmap_named: int
    better: int
    worse: int
    versioned: int
    nmap_versioned: int
    packets_sent: int
    nmap_packets_sent: int
    packets_received: int
    nmap_packets_received: int
    seconds: float
    nmap_seconds: float


def run(*, say: Say | None = None, at_once: bool = False) -> Result:
    """Build the lab, scan it twice, compare. Raises `LabError`, `SetupError` without nmap.

    `at_once`: each scans a lab of its own at the same time, which is over sooner and tells less of the time it takes.
    """
    if not NmapScanner().available():
        raise SetupError("nmap is what is compared with.", hint=INSTALL)
    tell = say or silent
    with ExitStack() as stack:
        tell("fifty hosts are made")
        first = stack.enter_context(lab())
        if at_once:
            second = stack.enter_context(lab())
            pool = stack.enter_context(ThreadPoolExecutor(1))
            tell("the built-in scanner and nmap -sV")
            other = pool.submit(scanned, second, "nmap")
            return compared(first, scanned(first, "connect"), other.result())
        tell("the built-in scanner")
        ours = scanned(first, "connect")
        tell("nmap -sV")
        return compared(first, ours, scanned(first, "nmap"))


def scanned(made: Lab, tool: str, *, task: Task | None = None) -> Run:
    """One scan of all ports of the lab by `tool`, in a process of its own where the scanner is."""
    made.counted()
    began = time.perf_counter()
    told = told_by(made, tool, task or Task(targets=made.targets, ports=",".join(map(str, made.ports))))
    seconds = time.perf_counter() - began
    outputs = told.outputs
    found = {place: service for output in outputs for place, service in read(output.data).items()}
    return Run(found, made.counted(), seconds, sum(output.probes for output in outputs))


def told_by(made: Lab, tool: str, task: Task) -> Told:
    """What a scan in the scanner's namespace prints."""
    command = made.enter(sys.executable, "-m", "spectra.bench.labscan", tool)
    done = subprocess.run(
        command, input=msgspec.json.encode(task), capture_output=True, timeout=_WITHIN_S, check=False
    )  # fmt: skip
    if done.returncode != 0:
        raise SpectraError(f"{tool}: {done.stderr.decode(errors='replace')[-2000:]}", reason="bench")
    return msgspec.json.decode(done.stdout, type=Told)


def read(data: bytes) -> dict[Place, Service]:
    """The open endpoints of an output, and what is known of each."""
    context = Context(default_time=datetime.now(UTC), privacy=Privacy.FULL)
    _, records = parse(io.BytesIO(data), context)
    return {
        (record.ip, one.port): one.service or Service()
        for record in records
        if isinstance(record, HostSeen)
        for one in record.endpoints
        if one.state == "open"
    }


def compared(made: Lab, ours: Run, theirs: Run) -> Result:
    """Both scans, held against the truth and against each other."""
    truth = made.open
    slow = made.rules("limited", "tight", "guarded", "lossy")
    limited = {place for place in truth if place[0] in slow}
    right, nmap_right = rightly(made.truth, ours), rightly(made.truth, theirs)
    return Result(
        hosts=len(made.hosts),
        ports=len(made.ports),
        endpoints=len(truth),
        recall=_share(truth, ours),
        nmap_recall=_share(truth, theirs),
        recall_limited=_share(limited, ours),
        nmap_recall_limited=_share(limited, theirs),
        false_open=len(ours.found.keys() - truth),
        nmap_false_open=len(theirs.found.keys() - truth),
        named=len(right),
        nmap_named=len(nmap_right),
        better=len(right - nmap_right),
        worse=len(nmap_right - right),
        versioned=sum(bool(one.product and one.version) for one in ours.found.values()),
        nmap_versioned=sum(bool(one.product and one.version) for one in theirs.found.values()),
        packets_sent=ours.packets.sent,
        nmap_packets_sent=theirs.packets.sent,
        packets_received=ours.packets.received,
        nmap_packets_received=theirs.packets.received,
        seconds=round(ours.seconds, 1),
        nmap_seconds=round(theirs.seconds, 1),
    )


def rightly(truth: dict[Place, str], scan: Run) -> set[Place]:
    """The endpoints whose service was named as what it is. nmap's other names for the same count as right, too."""
    return {place for place, one in scan.found.items() if place in truth and _word(one) == truth[place]}


def _word(service: Service) -> str:
    """A service in the words of `TRUTH`: `https` is HTTP in TLS, and nmap's script names a broker by its version."""
    name = "mqtt" if service.name.startswith("mosquitto") else service.name
    if name in {"https", "https-alt"}:
        return "http in tls"
    return f"{name} in {service.tunnel}" if service.tunnel else name


def _share(truth: set[Place], scan: Run) -> float:
    return round(len(truth & scan.found.keys()) / len(truth), 4) if truth else 1.0


def missed(truth: set[Place], scan: Run) -> Sequence[Place]:
    """What a scan did not find."""
    return sorted(truth - scan.found.keys())
