"""What the firewall's log shows of traffic: port scans, sweeps, steady connections and bursts.

Reads packets (`logs/iptables.py`). Packets to many (multicast, broadcast) belong to discovery and are left out but for
bursts. A log holds what the administrator has logged, often only what was refused: that is enough for all four.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from spectra.ai.agents.addresses import is_inside, is_one_host
from spectra.ai.agents.logs import iptables
from spectra.ai.agents.logs.iptables import Packet
from spectra.ai.agents.logs.lines import Log
from spectra.ai.agents.stats import Rhythm, grouped, newest, poisson_tail, rhythm
from spectra.model.insights import Evidence, Insight, Severity, evidence, feature, insight

WINDOW_S: Final = 300
SCAN_PORTS: Final = 15
"""Ports of one host that one source asked for within `WINDOW_S`."""
SWEEP_HOSTS: Final = 15
"""Hosts that one source asked for one port within `WINDOW_S`."""
BEAT_GAPS: Final = 10
BEAT_PERIOD_S: Final = 20.0
BEAT_JITTER: Final = 0.05
"""Median deviation of the gaps as part of the median gap. People and web pages have 0.5 and more, cron and NTP 0.01."""
BEAT_SPAN_S: Final = 1800.0
BURST_LOG10: Final = -9.0
"""log10 of the chance (Poisson) of so many packets of one source in `WINDOW_S`, by its own usual rate."""
BURST_PACKETS: Final = 100
BURST_WINDOWS: Final = 6
"""Windows in which a source was seen before its rate is known."""
CLOCKED: Final = {
    53: "DNS",
    67: "DHCP",
    68: "DHCP",
    123: "NTP",
    137: "NetBIOS",
    138: "NetBIOS",
    1900: "SSDP",
    5353: "mDNS",
}
"""Ports at which regular packets are usual."""
MOST: Final = 100
_SHOWN: Final = 8


class Traffic(NamedTuple):
    """What one run looks at."""

    packets: Sequence[Packet]
    now: datetime


def run(raw: bytes, now: datetime) -> tuple[list[Insight], Log[Packet]]:
    """The insights of a firewall's log, and what was read. Raises `BadRequest` where it is none."""
    log = iptables.read(raw, now)
    traffic = Traffic(log.entries, now)
    found = [*_scans(traffic), *_sweeps(traffic), *_beats(traffic), *_bursts(traffic)]
    return sorted(found, key=lambda one: (-one.score, one.id))[:MOST], log


# Scans and sweeps ----------------------------------------------------------------------------------------------------


def _scans(traffic: Traffic) -> Iterator[Insight]:
    """One source, one host, many ports."""
    asked = _asking(traffic)
    for (source, target), packets in grouped(((p.source, p.target), p) for p in asked).items():
        best = _busiest(packets, lambda p: p.port)
        ports = {p.port for p in best}
        if len(ports) < SCAN_PORTS:
            continue
        inside = is_inside(source)
        yield insight(
            "network-anomaly",
            "port_scan",
            severity=_of_source(source),
            title=f"{source} asks {target} for {len(ports)} ports",
            what=f"Within five minutes {source} asked {target} for {len(ports)} ports"
            + (", and it is a machine of this network." if inside else "."),
            subjects=[f"host:{source}", f"host:{target}"],
            at=newest((p.at for p in best), traffic.now),
            score=45 + min(25, 3 * math.log2(len(ports))) + 20 * inside,
            evidence=_some(best),
            features=[feature("ports", len(ports), SCAN_PORTS), feature("packets", len(best))],
            advice=_what_to_do(source),
            key=target,
        )


def _sweeps(traffic: Traffic) -> Iterator[Insight]:
    """One source, one port, many hosts."""
    asked = _asking(traffic)
    for (source, protocol, port), packets in grouped(((p.source, p.protocol, p.port), p) for p in asked).items():
        best = _busiest(packets, lambda p: p.target)
        hosts = {p.target for p in best}
        if len(hosts) < SWEEP_HOSTS:
            continue
        inside = is_inside(source)
        yield insight(
            "network-anomaly",
            "sweep",
            severity=_of_source(source),
            title=f"{source} asks {len(hosts)} hosts for {port}/{protocol}",
            what=f"Within five minutes {source} asked {len(hosts)} hosts for {port}/{protocol}"
            + (", and it is a machine of this network: so a worm spreads." if inside else "."),
            subjects=[f"host:{source}", *(f"host:{host}" for host in sorted(hosts)[:30])],
            at=newest((p.at for p in best), traffic.now),
            score=45 + min(25, 3 * math.log2(len(hosts))) + 20 * inside,
            evidence=_some(best),
            features=[feature("hosts", len(hosts), SWEEP_HOSTS), feature("packets", len(best))],
            advice=_what_to_do(source),
            key=f"{port}/{protocol}",
        )


def _asking(traffic: Traffic) -> Iterator[Packet]:
    """Packets that ask one host for a port. An answer goes from a low port to a high one: it asks for nothing."""
    for p in traffic.packets:
        if p.port and p.syn and is_one_host(p.target) and not (p.protocol == "udp" and p.source_port < 1024 <= p.port):
            yield p


def _busiest(packets: list[Packet], what: Callable[[Packet], object]) -> list[Packet]:
    """Of all stretches of `WINDOW_S`, the one in which most different things were asked for."""
    timed = sorted(packets, key=lambda p: (p.at is not None, (p.at and p.at.timestamp()) or 0.0, p.line))
    best: list[Packet] = []
    first, most = 0, 0
    inside: Counter[object] = Counter()
    for last, packet in enumerate(timed):
        inside[what(packet)] += 1
        while _apart(timed[first], packet) > WINDOW_S:
            gone = what(timed[first])
            inside[gone] -= 1
            if not inside[gone]:
                del inside[gone]
            first += 1
        if len(inside) > most:
            most, best = len(inside), timed[first : last + 1]
    return best


def _apart(one: Packet, other: Packet) -> float:
    return (other.at - one.at).total_seconds() if one.at and other.at else 0.0


# Steady connections and bursts ---------------------------------------------------------------------------------------


def _beats(traffic: Traffic) -> Iterator[Insight]:
    """Connections by the clock."""
    steady = ((p.source, p.target, p.protocol, p.port) for p in traffic.packets)
    groups = grouped(
        (key, p)
        for key, p in zip(steady, traffic.packets, strict=True)
        if p.at
        and p.port
        and p.syn
        and is_one_host(p.target)
        and p.port not in CLOCKED
        and p.source_port not in CLOCKED
    )
    for (source, target, protocol, port), packets in groups.items():
        beat = rhythm(p.at for p in packets if p.at)
        if beat and _is_steady(beat):
            yield _beat(traffic, packets, beat, f"{port}/{protocol}", (source, target))


def _is_steady(beat: Rhythm) -> bool:
    return (
        beat.gaps >= BEAT_GAPS
        and beat.period >= BEAT_PERIOD_S
        and beat.jitter <= BEAT_JITTER
        and beat.span >= BEAT_SPAN_S
    )


def _beat(traffic: Traffic, packets: list[Packet], beat: Rhythm, port: str, ends: tuple[str, str]) -> Insight:
    source, target = ends
    leaves = is_inside(source) and not is_inside(target)
    severity: Severity = "medium" if leaves else "low"
    return insight(
        "network-anomaly",
        "steady_connection",
        severity=severity,
        title=f"{source} connects to {target} every {beat.period:.0f} s",
        what=f"{beat.gaps + 1} connections to {port} in {beat.span / 3600:.1f} h, each {beat.jitter:.1%} of a period"
        " off: a program by the clock" + (", to the Internet." if leaves else "."),
        subjects=[f"host:{source}", f"host:{target}"],
        at=newest((p.at for p in packets), traffic.now),
        score=(45 if leaves else 20) + min(20, beat.gaps / 5),
        evidence=_some(packets),
        features=[
            feature("gaps", beat.gaps, BEAT_GAPS),
            feature("period_s", beat.period, BEAT_PERIOD_S),
            feature("jitter", beat.jitter, BEAT_JITTER),
            feature("span_s", beat.span, BEAT_SPAN_S),
        ],
        advice=f"Find out what on {source} connects there.",
        key=f"{target} {port}",
    )


def _bursts(traffic: Traffic) -> Iterator[Insight]:
    """Far more packets of a source than its own rate explains."""
    for source, packets in grouped((p.source, p) for p in traffic.packets if p.at).items():
        counts = Counter(int(p.at.timestamp()) // WINDOW_S for p in packets if p.at)
        if len(counts) <= BURST_WINDOWS:
            continue
        window, most = max(counts.items(), key=lambda item: (item[1], -item[0]))
        others = sorted(count for at, count in counts.items() if at != window)
        usual = max(1.0, float(others[len(others) * 9 // 10]))  # nine windows of ten have no more
        chance = poisson_tail(most, usual)
        if most < BURST_PACKETS or chance > BURST_LOG10:
            continue
        mine = [p for p in packets if p.at and int(p.at.timestamp()) // WINDOW_S == window]
        yield insight(
            "network-anomaly",
            "burst",
            severity="medium",
            title=f"{source} sends {most} packets in five minutes, and at most {usual:.0f} usually",
            what=f"In nine of ten windows of five minutes {source} sends {usual:.0f} packets or fewer, here {most}.",
            subjects=[f"host:{source}", *(f"host:{ip}" for ip, _ in Counter(p.target for p in mine).most_common(5))],
            at=newest((p.at for p in mine), traffic.now),
            score=45 + min(30, -chance / 10),
            evidence=_some(mine),
            features=[
                feature("packets", most, BURST_PACKETS),
                feature("usual", usual),
                feature("log10_chance", chance, BURST_LOG10),
            ],
            advice=f"Look at what {source} sent, and to whom.",
        )


def _of_source(source: str) -> Severity:
    """A scan from within is somebody who is in already; the Internet scans all day."""
    return "high" if is_inside(source) else "low"


def _what_to_do(source: str) -> str:
    if is_inside(source):
        return f"If nobody of yours scans from {source}, take it off the network and examine it."
    return f"Nothing, if {source} was refused; ban it where alerts tell of more."


def _some(packets: Sequence[Packet]) -> Iterator[Evidence]:
    for p in packets[:_SHOWN]:
        when = f"{p.at:%Y-%m-%d %H:%M:%S} UTC: " if p.at else ""
        yield evidence(f"{when}{p.source} to {p.target} {p.port}/{p.protocol}", f"host:{p.source}", p.line)
