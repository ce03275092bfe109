"""What the history of scans shows that was not so before: hosts, open ports, bursts of them, and network cards.

A baseline is held against what was seen lately (`RECENT`). What was looked at, and not open, counts: a port that 200
looks found closed and two find open is news, one that nobody asked for before is not. How surprising something is
comes from the looks alone, by the rule of three: what n looks never found has, at 95 %, a chance below 3/n.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from statistics import median
from typing import Final, NamedTuple

from spectra.ai.agents.stats import grouped, robust_z, share
from spectra.model.insights import Feature, Insight, Severity, evidence, feature, insight

RECENT: Final = timedelta(hours=24)
LOOKS: Final = 20
"""Looks before that a claim of novelty rests on at least: 3/20 is a chance of 15 %, and most have hundreds."""
OFTEN: Final = 0.5
"""Part of the looks since it showed first in which something new was there, and `TWICE` at least: once is a blip."""
TWICE: Final = 2
STEADY: Final = 0.95
"""Part of the looks before in which something was there that is missed when it goes."""
GONE_LOOKS: Final = 48
GONE_CHANCE: Final = 1e-6
GONE_AGAIN: Final = 4
BURST_Z: Final = 8.0
BURST_MORE: Final = 15
CARD_LOOKS: Final = 10
CARD_HOSTS: Final = 3
"""Addresses that one network card answers for at once, of which others had answered before: as ARP spoofing looks."""
EPHEMERAL: Final = 32768
"""Systems give ports from here on out for a while (Linux; IANA's begin at 49152): of these only `ADMIN` count."""
MOST: Final = 200

ADMIN: Final = {
    22: "SSH", 23: "Telnet", 135: "RPC", 445: "SMB", 512: "rexec", 513: "rlogin", 514: "rsh", 873: "rsync",
    1433: "SQL Server", 2049: "NFS", 2375: "Docker", 2379: "etcd", 3306: "MySQL", 3389: "RDP", 4444: "a shell",
    5432: "PostgreSQL", 5555: "ADB", 5900: "VNC", 5985: "WinRM", 6379: "Redis", 9200: "Elasticsearch",
    11211: "memcached", 27017: "MongoDB", 50000: "SAP",
}  # fmt: skip
"""Ports by which machines are steered or their data read."""

_LAST: Final = 1 << 32
_PROTOCOLS: Final = {6: "tcp", 17: "udp", 132: "sctp"}


class Scan(NamedTuple):
    """One scan: which ports it asked for, ascending ranges (first, last) of `protocol << 16 | port`; None: unknown."""

    id: str
    swept: tuple[tuple[int, int], ...] | None


class Look(NamedTuple):
    """What one scan saw of one host: whether it answered (`up`), and its open ports (`protocol << 16 | port`)."""

    ip: str
    at: datetime
    scan: Scan
    up: bool
    ports: frozenset[int] = frozenset()
    mac: str = ""


class _Host(NamedTuple):
    """The looks at one host, oldest first."""

    ip: str
    before: list[Look]
    lately: list[Look]

    @property
    def at(self) -> datetime:
        return self.lately[-1].at


def run(looks: Sequence[Look], now: datetime) -> list[Insight]:
    """What the looks since `now - RECENT` show that those before did not."""
    since = now - RECENT
    hosts: list[_Host] = []
    for ip, mine in grouped((look.ip, look) for look in sorted(looks, key=attrgetter("at"))).items():
        host = _Host(ip, [one for one in mine if one.at <= since], [one for one in mine if since < one.at <= now])
        if host.lately:
            hosts.append(host)
    found = [one for host in hosts for one in _of_host(host)]
    found += _cards(hosts)
    return sorted(found, key=lambda one: (-one.score, one.id))[:MOST]


def _of_host(host: _Host) -> Iterator[Insight]:
    parts: tuple[Callable[[_Host], Iterator[Insight]], ...] = (_new_host, _new_ports, _gone, _gone_ports, _burst, _card)
    for part in parts:
        yield from part(host)


# New -----------------------------------------------------------------------------------------------------------------


def _new_host(host: _Host) -> Iterator[Insight]:
    """An address that was asked and silent, and answers now."""
    if any(look.up for look in host.before) or len(host.before) < LOOKS:
        return
    since = _since([look.up for look in host.lately])
    up, looks = sum(since), len(since)
    if not _lasts(up, looks):
        return
    ports = {port for look in host.lately for port in look.ports}
    admin = sorted(name for port in ports if (name := ADMIN.get(port & 0xFFFF)))
    yield insight(
        "network-anomaly",
        "new_host",
        severity="medium" if admin else "low",
        title=f"{host.ip} answers, and never did before",
        what=f"{len(host.before)} looks before {host.lately[0].at:%Y-%m-%d %H:%M} UTC had no answer of {host.ip};"
        f" {up} of the last {looks} had one, with {len(ports)} open ports"
        + (f", {', '.join(admin)} among them." if admin else "."),
        subjects=[f"host:{host.ip}", *(_record(host.ip, port) for port in sorted(ports)[:20])],
        at=host.at,
        score=30 + 15 * bool(admin) + min(15, len(host.before) / 20),
        evidence=[evidence(f"no answer {len(host.before)} times, the last at {host.before[-1].at:%Y-%m-%d %H:%M} UTC")],
        features=[*_novel(len(host.before), up, looks), feature("ports", len(ports))],
        advice="Find out whose it is. If it belongs here, resolve this as accepted.",
    )


def _new_ports(host: _Host) -> Iterator[Insight]:
    """Ports that were asked for and not open, and are open now."""
    before = [look for look in host.before if look.up]
    lately = [look for look in host.lately if look.up]
    for port in sorted({port for look in lately for port in look.ports}):
        number = port & 0xFFFF
        if number >= EPHEMERAL and number not in ADMIN:
            continue
        asked = [look for look in before if asks(look, port)]
        since = _since([port in look.ports for look in lately if asks(look, port)])
        if len(asked) < LOOKS or any(port in look.ports for look in asked) or not _lasts(sum(since), len(since)):
            continue
        yield _new_port(host, port, len(asked), sum(since), len(since))


def _new_port(host: _Host, port: int, asked: int, times: int, again: int) -> Insight:
    name = ADMIN.get(port & 0xFFFF, "")
    severity: Severity = "high" if name else "medium"
    return insight(
        "network-anomaly",
        "new_port",
        severity=severity,
        title=f"{_named(port)} is open on {host.ip}, and never was before",
        what=f"{asked} looks found {_named(port)} of {host.ip} not open, {times} of the last {again} find it open"
        + (f": {name}, by which machines are steered or their data read." if name else "."),
        subjects=[_record(host.ip, port), f"host:{host.ip}"],
        at=host.at,
        score=(65 if name else 45) + min(20, asked / 25),
        evidence=[evidence(f"not open in {asked} looks, open in {times} of {again}", _record(host.ip, port))],
        features=_novel(asked, times, again),
        advice="Find out who opened it and for whom; close it to everybody else.",
    )


def asks(look: Look, port: int) -> bool:
    """Whether a look says whether a port is open."""
    if port in look.ports:
        return True
    swept = look.scan.swept
    if not swept:
        return False
    at = bisect_right(swept, (port, _LAST)) - 1
    return at >= 0 and port <= swept[at][1]


def _since(there: list[bool]) -> list[bool]:
    """The looks from the first on in which something was there."""
    return there[there.index(True) :] if True in there else []


def _until(there: list[bool]) -> int:
    """How many looks it is since something was there."""
    return there[::-1].index(True) if True in there else len(there)


def _lasts(times: int, looks: int) -> bool:
    return times >= TWICE and share(times, looks) >= OFTEN


def _novel(before: int, times: int, looks: int) -> list[Feature]:
    return [
        feature("looks_before", before, LOOKS),
        feature("chance_at_most", 3 / before),
        feature("lately", share(times, looks), OFTEN),
        feature("looks_lately", looks, TWICE),
    ]


# Gone ----------------------------------------------------------------------------------------------------------------


def _gone(host: _Host) -> Iterator[Insight]:
    up = sum(look.up for look in host.before)
    again = _until([look.up for look in host.lately])
    chance = _chance(up, len(host.before), again)
    if chance is None:
        return
    yield insight(
        "network-anomaly",
        "host_gone",
        severity="low",
        title=f"{host.ip} does not answer any more",
        what=f"{up} of {len(host.before)} looks had an answer, the last {again} had none.",
        subjects=[f"host:{host.ip}"],
        at=host.at,
        score=30,
        evidence=[evidence(f"{again} looks without an answer", f"host:{host.ip}")],
        features=_missed(up, len(host.before), again, chance),
        advice="See whether it was switched off, moved, or cut off.",
    )


def _gone_ports(host: _Host) -> Iterator[Insight]:
    before, lately = ([look for look in looks if look.up] for looks in (host.before, host.lately))
    for port, times in sorted(Counter(port for look in before for port in look.ports).items()):
        if port & 0xFFFF >= EPHEMERAL:
            continue
        asked = sum(asks(look, port) for look in before)
        again = _until([port in look.ports for look in lately if asks(look, port)])
        chance = _chance(times, asked, again)
        if chance is None:
            continue
        yield insight(
            "network-anomaly",
            "port_gone",
            severity="low",
            title=f"{_named(port)} of {host.ip} is not open any more",
            what=f"{times} of {asked} looks found it open, the last {again} did not, though the host answered.",
            subjects=[_record(host.ip, port), f"host:{host.ip}"],
            at=host.at,
            score=25,
            evidence=[evidence(f"not open in {again} looks", _record(host.ip, port))],
            features=_missed(times, asked, again, chance),
            advice="See whether a service was stopped that others need.",
        )


def _chance(times: int, looks: int, again: int) -> float | None:
    """The chance that something that was there in `times` of `looks` is not in `again` looks by itself; None where it
    was not steady, or that is no surprise. Krichevsky-Trofimov's estimate, so that 48 of 48 is no certainty.
    """
    if looks < GONE_LOOKS or again < GONE_AGAIN or share(times, looks) < STEADY:
        return None
    chance = (1 - (times + 0.5) / (looks + 1)) ** again
    return chance if chance < GONE_CHANCE else None


def _missed(times: int, looks: int, again: int, chance: float) -> list[Feature]:
    return [
        feature("steady", share(times, looks), STEADY),
        feature("looks_before", looks, GONE_LOOKS),
        feature("looks_lately", again, GONE_AGAIN),
        feature("chance", chance, GONE_CHANCE),
    ]


# Bursts and cards ----------------------------------------------------------------------------------------------------


def _burst(host: _Host) -> Iterator[Insight]:
    """Far more open ports than ever."""
    counts = [float(len(look.ports)) for look in host.before if look.up]
    lately = [look for look in host.lately if look.up]
    if len(counts) < LOOKS or not lately:
        return
    most = max(lately, key=lambda look: len(look.ports))
    z, usual = robust_z(len(most.ports), counts), median(counts)
    if z < BURST_Z or len(most.ports) < usual + BURST_MORE or len(most.ports) <= max(counts) * 1.5:
        return
    yield insight(
        "network-anomaly",
        "port_burst",
        severity="medium",
        title=f"{host.ip} has {len(most.ports)} open ports, and {usual:.0f} usually",
        what=f"At {most.at:%Y-%m-%d %H:%M} UTC a scan found {len(most.ports)} ports open where {len(counts)} looks"
        f" before found {usual:.0f} (at most {max(counts):.0f}): a trap that answers everywhere, or much was started.",
        subjects=[f"host:{host.ip}"],
        at=most.at,
        score=50 + min(20, z),
        evidence=[evidence(f"{len(most.ports)} open ports", f"host:{host.ip}")],
        features=[feature("z", z, BURST_Z), feature("ports", len(most.ports), usual + BURST_MORE)],
        advice="Look at what runs there, and whether a firewall or proxy in between answers in its place.",
    )


def _card(host: _Host) -> Iterator[Insight]:
    """Another network card answers for an address that one card always answered for."""
    before = Counter(look.mac for look in host.before if look.mac)
    lately = [look.mac for look in host.lately if look.mac]
    if not before or not lately or before.total() < CARD_LOOKS:
        return
    usual, times = before.most_common(1)[0]
    if share(times, before.total()) < STEADY or set(lately) <= set(before):
        return
    flips = sum(a != b for a, b in pairwise(lately))
    both = usual in lately and flips >= TWICE
    other = next(mac for mac in reversed(lately) if mac not in before)
    yield insight(
        "network-anomaly",
        "two_cards" if both else "other_card",
        severity="high" if both else "low",
        title=f"{'Two network cards answer' if both else 'Another network card answers'} for {host.ip}",
        what=f"{usual} answered in {times} of {before.total()} looks; lately {other} does"
        + (f", in turn with the first ({flips} changes): somebody may be standing in between." if both else "."),
        subjects=[f"host:{host.ip}"],
        at=host.at,
        score=75 if both else 30,
        evidence=[evidence(f"{usual} before, {other} now", f"host:{host.ip}")],
        features=[
            feature("looks_before", before.total(), CARD_LOOKS),
            feature("steady", share(times, before.total()), STEADY),
            feature("changes", flips, TWICE),
        ],
        advice="See whether the machine was replaced. If not, look for ARP spoofing on this network.",
    )


def _cards(hosts: Sequence[_Host]) -> Iterator[Insight]:
    """One card that answers for addresses of others, all in one scan."""
    usual = {host.ip: Counter(look.mac for look in host.before if look.mac) for host in hosts}
    seen = grouped(((look.scan.id, look.mac), look) for host in hosts for look in host.lately if look.mac and look.up)
    told: set[str] = set()
    for (_, mac), looks in seen.items():
        taken = [look for look in looks if usual[look.ip].total() >= CARD_LOOKS and mac not in usual[look.ip]]
        if len(taken) < CARD_HOSTS or mac in told:
            continue
        told.add(mac)
        yield insight(
            "network-anomaly",
            "card_takes_over",
            severity="critical",
            title=f"{mac} answers for {len(taken)} addresses of others",
            what=f"In one scan {mac} answered for {', '.join(look.ip for look in taken[:6])}, for which other cards did"
            " before: as it is when somebody stands in between (ARP spoofing), or a router was put there.",
            subjects=[f"host:{look.ip}" for look in taken],
            at=taken[0].at,
            score=90,
            evidence=[evidence(f"{look.ip} is answered for by {mac}", f"host:{look.ip}") for look in taken],
            features=[feature("addresses", len(taken), CARD_HOSTS)],
            advice=f"Find the port of the switch that {mac} is at.",
            key=mac,
        )


def _named(port: int) -> str:
    return f"{port & 0xFFFF}/{_PROTOCOLS.get(port >> 16, str(port >> 16))}"


def _record(ip: str, port: int) -> str:
    return f"endpoint:{ip}/{_PROTOCOLS.get(port >> 16, str(port >> 16))}/{port & 0xFFFF}"
