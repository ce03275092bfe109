"""nmap's XML output (also of masscan and others that write its schema): https://nmap.org/book/nmap-dtd.html."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from spectra.ingest.parsers.context import Context
from spectra.ingest.parsers.encoding import Utf8Stream
from spectra.ingest.parsers.nmaphost import HostReader
from spectra.ingest.parsers.text import clean, port_number
from spectra.ingest.parsers.times import instant
from spectra.ingest.parsers.window import Window
from spectra.ingest.parsers.xml import Element, elements
from spectra.model.observation import HostSeen, Problem, Protocol, Record, ScanFacts, Swept

ROOT = "nmaprun"
_WANTED = ("scaninfo", "host", "runstats")
_ARGUMENTS_CHARS = 4096
_PROTOCOLS: dict[str, Protocol] = {"tcp": "tcp", "udp": "udp", "sctp": "sctp"}

KEPT: tuple[tuple[str, str], ...] = (
    ("`nmaprun@scanner`, `@version`, `@args`, `@start`", "scan: tool, tool_version, arguments, started"),
    ("`scaninfo@protocol`, `@services`", "the ports that were swept"),
    ("`runstats/finished@time`", "scan: finished"),
    ("`runstats/finished@errormsg`", "a problem of the submission"),
    ("`host@endtime`, else `@starttime`, else the scan's start", "seen_at of host and endpoints"),
    ("`host/status` down", "the address as silent"),
    ("`host/address` ipv4, ipv6", "host: ip (IPv4-mapped IPv6 as IPv4)"),
    ("`host/address` mac, `@vendor`", "host: mac, vendor"),
    ("`hostname@name`, `@type`", "host: hostnames of kind user, ptr or dns"),
    ("`osmatch@name` of the best accuracy", "host: os"),
    ("`port@portid`, `@protocol`", "endpoint: port, protocol (tcp, udp, sctp)"),
    (
        "`port/state` open, closed, filtered, closed\\|filtered",
        "endpoint: state (the last as filtered; unfiltered and open\\|filtered are not kept)",
    ),
    ("`extraports@state`", "host: the state of all swept ports not listed, where it is closed or filtered for all"),
    (
        "`service@name`, `@product`, `@version`, `@extrainfo`, `@ostype`, `@devicetype`, `@tunnel`, `cpe`",
        "service, where nmap probed it; a guess from the port number is not kept",
    ),
    ("script http-title", "banner: title"),
    (
        "script banner, else http-server-header",
        "banner: text (2 KB); service: product, version where nmap found none",
    ),
    ("script ssl-cert", "certificate by the SHA-256 of its DER form; without PEM or SHA-256 as evidence"),
    ("every other script of a port or host", "evidence `nse:<id>` (4 KB each, 64 for each endpoint or host)"),
    ("`service@banner` (masscan)", "banner: text, and service by it; of `X509` the certificate; of `title` the title"),
    ("servicefp, traceroute, uptime, timing, pre- and postscripts", "only in the raw original"),
)


def parse(stream: Utf8Stream, context: Context) -> Iterator[Record]:
    """Records of an nmap XML document; of a cut one, all hosts that are complete."""
    run = _Run(context)
    for item in elements(stream, ROOT, _WANTED):
        if isinstance(item, Problem):
            yield item
            continue
        yield from run.take(*item)
    yield from run.window.flush()


class _Run:
    """One `nmaprun` while it is read."""

    def __init__(self, context: Context) -> None:
        self._default_time = context.default_time
        self._reader = HostReader(context.default_time)
        self._grouped = False
        self.window = Window()

    def take(self, line: int, element: Element) -> Iterator[Record]:
        """The records of one element."""
        if element.tag == "host":
            yield from self._host(line, element)
        elif element.tag == "scaninfo":
            yield from _swept(element)
        elif element.tag == ROOT:
            yield self._begin(element)
        else:
            yield from _end(line, element)

    def _begin(self, root: Element) -> ScanFacts:
        started = instant(root.get("start"))
        self._reader = HostReader(started or self._default_time)
        # masscan writes one host element for each port it found.
        self._grouped = root.get("scanner") == "masscan"
        return ScanFacts(
            tool=clean(root.get("scanner")),
            tool_version=clean(root.get("version")),
            arguments=clean(root.get("args"), _ARGUMENTS_CHARS),
            started=started,
        )

    def _host(self, line: int, element: Element) -> Iterator[Record]:
        for record in self._reader.read(line, element):
            if self._grouped and isinstance(record, HostSeen):
                self._group(record)
                yield from self.window.spill()
            else:
                yield record

    def _group(self, host: HostSeen) -> None:
        draft = self.window.host(host.ip, host.seen_at)
        for seen in host.endpoints:
            endpoint = draft.endpoint(seen.port, seen.protocol, seen.state, host.seen_at)
            endpoint.serves(seen.service)
            endpoint.certificate = endpoint.certificate or seen.certificate
            if seen.banner:
                self.window.holds(endpoint.said(seen.banner.text, seen.banner.title))


def _swept(scaninfo: Element) -> Iterator[Record]:
    """The ports of one protocol; nothing for a ping or IP protocol scan, whose "services" are no ports."""
    protocol = _PROTOCOLS.get(scaninfo.get("protocol") or "")
    ranges = port_ranges(scaninfo.get("services") or "")
    if protocol and ranges:
        yield Swept(protocol, ranges)


def port_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Inclusive ranges of a list such as `1,3-4,6-7`, in order and merged; parts that are no ports are left out."""
    found: list[tuple[int, int]] = []
    for part in text.split(",")[:65536]:
        first, dash, last = part.strip().partition("-")
        low = port_number(first)
        high = port_number(last) if dash else low
        if low is not None and high is not None and low <= high:
            found.append((low, high))
    return _merged(sorted(found))


def _merged(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for low, high in ranges:
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _end(line: int, runstats: Element) -> Iterator[Record]:
    finished = runstats.find("finished")
    if finished is None:
        return
    moment: datetime | None = instant(finished.get("time"))
    if moment:
        yield ScanFacts(finished=moment)
    if message := clean(finished.get("errormsg"), 500):
        yield Problem(message=f"the scanner failed: {message}", line=line, field="runstats/finished@errormsg")
