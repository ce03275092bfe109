"""From what the store found to things that rules watch for: a line about each, and where the dashboard shows it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote

from msgspec.structs import replace

from spectra.model.alerts import Kind, Occurrence
from spectra.model.insights import line
from spectra.store.alertchain import Act
from spectra.store.alertfound import Weakness
from spectra.store.alertseen import Brief, Change
from spectra.store.alerttimes import Ended, Expiring, Gone, Lost, Refusal, Stale
from spectra.store.timeline import PROTOCOL_NAME

_MAX: Final = 300


def of_hosts(hosts: Iterable[tuple[str, datetime]]) -> list[Occurrence]:
    """New hosts, without words yet."""
    return [Occurrence(kind="host.new", at=at, ip=ip, title="") for ip, at in hosts]


def of_changes(found: Iterable[Change], kinds: Iterable[Kind]) -> list[Occurrence]:
    """What changed at endpoints, of `kinds`, without words yet; a port that opened is told once, as that."""
    wanted = set(kinds)
    of: dict[tuple[Kind, ...], list[Kind]] = {}
    told: list[Occurrence] = []
    for ip, port, number, at, its, *_ in found:
        if its not in of:
            of[its] = _wanted(its, wanted)
        for kind in of[its]:
            protocol = PROTOCOL_NAME[number]
            told.append(Occurrence(kind=kind, at=at, ip=ip, port=port, protocol=protocol, title=""))
    return told


def _wanted(kinds: Iterable[Kind], wanted: Collection[Kind]) -> list[Kind]:
    its: list[Kind] = [kind for kind in kinds if kind in wanted]
    return [kind for kind in its if kind != "service.new"] if "port.opened" in its else its


def worded(
    things: Iterable[Occurrence], changed: Iterable[Change], ports: Mapping[str, Sequence[int]]
) -> list[Occurrence]:
    """The same, those without words with a line about what was `changed`, or which `ports` are open at a new host."""
    at = {(one.ip, one.port, one.protocol, one.at): one for one in changed}
    return [
        one if one.title else _worded(one, at.get((one.ip, one.port, one.protocol, one.at)), ports) for one in things
    ]


def _worded(thing: Occurrence, change: Change | None, ports: Mapping[str, Sequence[int]]) -> Occurrence:
    title = _changed(thing.kind, change) if change else f"New host {thing.ip}{_ports(ports.get(thing.ip, ()))}"
    return replace(thing, title=_line(title), path=_at(thing.ip, thing.port, thing.protocol))


def of_weaknesses(found: Iterable[Weakness], kind: Kind) -> list[Occurrence]:
    """Weaknesses, each at an endpoint."""
    return [
        Occurrence(
            kind=kind,
            at=one.at,
            ip=one.ip,
            port=one.port,
            protocol=one.protocol,
            cve=one.cve,
            title=_line(
                f"{one.cve}{f' ({one.severity})' if one.severity else ''} at {_where(one)}"
                f"{f', {_named(one.product, one.version)}' if one.product else ''}"
                f"{', known to be exploited' if one.kev else ''}{f': {one.title}' if one.title else ''}"
            ),
            path=f"/findings/{quote(f'{one.ip}~{one.port}~{one.protocol}~{one.cve}')}",
        )
        for one in found
    ]


def of_expiring(found: Iterable[Expiring], now: datetime) -> list[Occurrence]:
    """Certificates that run out."""
    return [
        Occurrence(
            kind="certificate.expiring",
            at=now,
            ip=one.ip,
            port=one.port,
            protocol=one.protocol,
            name=one.sha256,
            title=_line(
                f"The certificate of {_where(one)}{f' ({one.subject})' if one.subject else ''} runs out on"
                f" {one.not_after:%Y-%m-%d}"
            ),
            path=_at(one.ip, one.port, one.protocol),
        )
        for one in found
    ]


def of_gone(found: Iterable[Gone]) -> list[Occurrence]:
    """Hosts that do not answer any more."""
    return [
        Occurrence(
            kind="host.gone",
            at=one.probed,
            ip=one.ip,
            title=f"{one.ip} does not answer any more; it was seen last on {one.last_seen:%Y-%m-%d %H:%M} UTC",
            path=_at(one.ip),
        )
        for one in found
    ]


def of_lost(found: Iterable[Lost], now: datetime) -> list[Occurrence]:
    """Machines that are not heard any more."""
    return [
        Occurrence(
            kind="worker.lost",
            at=now,
            name=one.node,
            title=_line(
                f"The machine {one.node} is not heard any more"
                + (f", since {one.last_seen:%Y-%m-%d %H:%M} UTC" if one.last_seen else "")
            ),
            path=f"/nodes/{quote(one.node, safe='')}",
        )
        for one in found
    ]


def of_stale(found: Iterable[Stale], now: datetime) -> list[Occurrence]:
    """Feeds that are too old."""
    return [
        Occurrence(
            kind="feed.stale",
            at=now,
            name=one.feed,
            title=_line(
                f"The feed {one.feed} could not be fetched since {one.since:%Y-%m-%d}"
                + (f": {one.error}" if one.error else "")
            ),
            path="/feeds",
        )
        for one in found
    ]


def of_refusals(found: Iterable[Refusal]) -> list[Occurrence]:
    """Submissions and messages that were refused."""
    return [
        Occurrence(
            kind="envelope.refused",
            at=one.last,
            name=_line(f"{one.kind} from {one.who}"),
            times=one.times,
            title=_line(
                f"Refused from {one.who}: {one.kind.replace('_', ' ')}{f' ({one.detail})' if one.detail else ''}"
            ),
            path="/activity",
        )
        for one in found
    ]


def of_ended(found: Iterable[Ended]) -> list[Occurrence]:
    """Jobs that ended."""
    return [
        Occurrence(
            kind="job.ended",
            at=one.ended,
            name=one.job,
            title=_line(
                f"The job {one.job} was cancelled"
                if one.cancelled
                else f"The job {one.job} has ended; it found {one.found:,} open ports"
            ),
            path=f"/jobs/{quote(one.job, safe='')}",
        )
        for one in found
    ]


def of_acts(found: Iterable[Act]) -> list[Occurrence]:
    """Sign-ins from places that an account never came from, and refused ones."""
    told: list[Occurrence] = []
    for one in found:
        account = str(one.detail.get("account") or "")
        source = str(one.detail.get("source") or "an unknown place")
        if one.kind == "session.begun" and (one.detail.get("known") or one.detail.get("first")):
            continue
        if one.kind == "session.begun":
            title = f"{account} signed in from {source}, where this account never came from"
        else:
            who = account or "names that nobody has"
            title = f"Signing in to {who} was refused {one.detail.get('count', 1)} times, the last from {source}"
        told.append(
            Occurrence(
                kind="signin.strange",
                at=one.at,
                name=_line(f"{account or 'unknown names'} from {source}" if one.kind == "session.begun" else account),
                title=_line(title),
                path=f"/accounts/{quote(account, safe='')}" if account else "/activity",
            )
        )
    return told


def endpoints_of(found: Iterable[Change]) -> tuple[tuple[str, int, int], ...]:
    """The endpoints that changed."""
    return tuple((one.ip, one.port, one.number) for one in found)


def _changed(kind: Kind, one: Change) -> str:
    where, now = _where(one), _runs(one.after)
    match kind:
        case "port.opened":
            return f"{where} is open{f': {now}' if now else ''}"
        case "service.new":
            before = _runs(one.before)
            return f"{where} runs {now}{f' instead of {before}' if before else ''}"
        case "certificate.changed":
            return f"{where} shows another certificate{f' ({one.after.subject})' if one.after.subject else ''}"
        case _:
            before = _runs(one.before)
            if before != now:
                return f"{where} runs {now or 'something unknown'} instead of {before or 'something unknown'}"
            return f"{where} is called {one.after.title or 'nothing'} instead of {one.before.title or 'nothing'}"


def _runs(one: Brief) -> str:
    return _named(one.product or one.name, one.version)


def _named(product: str, version: str) -> str:
    return f"{product} {version}".strip()


def _where(one: Change | Weakness | Expiring) -> str:
    ip = f"[{one.ip}]" if ":" in one.ip else one.ip
    return f"{ip}:{one.port}" if one.protocol == "tcp" else f"{ip}:{one.port}/{one.protocol}"


def _ports(ports: Sequence[int]) -> str:
    if not ports:
        return ""
    some = ", ".join(str(port) for port in sorted(set(ports))[:10])
    return f" with {some} open" + (" and more" if len(set(ports)) > 10 else "")


def _at(ip: str, port: int = 0, protocol: str = "") -> str:
    where = quote(ip) if ":" in ip else ip
    return f"/hosts/{where}/{port}/{protocol}" if protocol else f"/hosts/{where}"


def _line(text: str) -> str:
    return line(text, _MAX)
