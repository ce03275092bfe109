"""DNS Guard: tunnels, generated names, floods of random names, answers that point inside, and steady calls.

Reads what a resolver logged (`logs/dns.py`). Features and thresholds are those of the constants below; what they were
tested on, and how often they are wrong, is in docs/agents.md. Times are those of the log; a log without times counts
as one hour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from spectra.ai.agents.addresses import is_inside
from spectra.ai.agents.logs import dns
from spectra.ai.agents.logs.dns import Query
from spectra.ai.agents.logs.lines import Log
from spectra.ai.agents.names import entropy, likelihood, registered
from spectra.ai.agents.stats import Rhythm, grouped, hours, newest, rhythm, share
from spectra.model.insights import Evidence, Insight, Severity, evidence, feature, insight

# A tunnel: many names below one domain, each new, long, and like noise.
TUNNEL_NAMES: Final = 30
TUNNEL_NEW: Final = 0.7
"""Distinct names among all questions of a client below the domain: a cache makes ordinary names come again."""
TUNNEL_LENGTH: Final = 25.0
"""Mean characters below the domain. Names people read have about 4; iodine, dnscat2 and dns2tcp fill 60 to 200."""
TUNNEL_ENTROPY: Final = 3.4
"""Bits a character: hexadecimal text has 4.0, base32 5.0, the words of host names about 3.9 but far shorter."""
TUNNEL_LARGE: Final = 200
"""Names from which a tunnel carries enough to be `high`."""

# Generated names: domains that nobody registered, whose letters follow one another as no person chooses them.
DGA_NAMES: Final = 10
DGA_BITS: Final = -5.0
"""Mean `names.likelihood` of the domains that do not exist. Of 20,000 draws of ten real names one was as low."""
MISSING_NAMES: Final = 40
"""Distinct domains that do not exist, of one client in an hour: whatever their letters."""
MISSING_SHARE: Final = 0.5

# A flood of random names below one domain (a "water torture" of its servers), or a search for names that exist.
FLOOD_NAMES: Final = 100
FLOOD_MISSING: Final = 0.9

# A steady call of few clients.
CALL_GAPS: Final = 12
CALL_PERIOD_S: Final = 30.0
CALL_JITTER: Final = 0.02
CALL_SPAN_S: Final = 3 * 3600.0
CALL_CLIENTS: Final = 2

MOST: Final = 100
"""Insights of one kind; the strongest."""

_SHOWN: Final = 8
_ODD_TYPES: Final = frozenset({"TXT", "NULL", "KEY", "CNAME", "MX", "SRV", "PRIVATE"})
# Domains below which each question is a new, long name by design: reputation look-ups of mail and virus filters.
CARRIERS: Final = frozenset(
    {"mcafee.com", "sophosxl.net", "trendmicro.com", "e5.sk", "spamhaus.org", "spamhaus.net", "barracudabrts.com"}
    | {
        "uribl.com",
        "surbl.org",
        "cymru.com",
        "senderbase.org",
        "webcfs03.com",
        "akadns.net",
        "in-addr.arpa",
        "ip6.arpa",
    }
)
# Names that machines ask for by the clock.
STEADY: Final = frozenset(
    {"ntp.org", "windows.com", "msftconnecttest.com", "msftncsi.com", "apple.com", "gstatic.com", "firefox.com"}
    | {"ubuntu.com", "debian.org", "fedoraproject.org", "archlinux.org", "gnome.org", "kde.org", "google.com"}
)
_LOCAL: Final = ("local", "lan", "home", "internal", "intranet", "corp", "localdomain", "arpa", "test", "invalid")


class Guard(NamedTuple):
    """What one run looks at."""

    queries: Sequence[Query]
    now: datetime


def run(raw: bytes, now: datetime) -> tuple[list[Insight], Log[Query]]:
    """The insights of a query log, and what was read of it. Raises `BadRequest` where it is none that is known."""
    log = dns.read(raw, now)
    guard = Guard(log.entries, now)
    found = [*_tunnels(guard), *_generated(guard), *_floods(guard), *_inside(guard), *_calls(guard)]
    return found, log


# Tunnels -------------------------------------------------------------------------------------------------------------


def _tunnels(guard: Guard) -> list[Insight]:
    """By client and registered domain."""
    groups = grouped(((q.client, registered(q.name)), q) for q in guard.queries if not q.local)
    found = [tunnel for (client, domain), asked in groups.items() if (tunnel := _tunnel(guard, client, domain, asked))]
    return _strongest(found)


def _tunnel(guard: Guard, client: str, domain: str, asked: list[Query]) -> Insight | None:
    if len(asked) < TUNNEL_NAMES or domain in CARRIERS or domain.rpartition(".")[2] in _LOCAL:
        return None
    below = {q.name: q.name[: -len(domain) - 1].replace(".", "") for q in asked if q.name != domain}
    if len(below) < TUNNEL_NAMES:
        return None
    new = share(len(below), len(asked))
    length = sum(map(len, below.values())) / len(below)
    noise = entropy(below.values())
    if new < TUNNEL_NEW or length < TUNNEL_LENGTH or noise < TUNNEL_ENTROPY:
        return None
    carried = int(sum(map(len, below.values())) * noise / 8)
    odd = share(sum(q.type in _ODD_TYPES for q in asked), len(asked))
    large = len(below) >= TUNNEL_LARGE
    score = 55 + min(20, len(below) / 20) + min(10, (length - TUNNEL_LENGTH) / 4) + 10 * odd + 5 * (noise > 4)
    return insight(
        "dns-guard",
        "dns_tunnel",
        severity="high" if large or odd > 0.5 else "medium",
        title=f"{client} carries data in names below {domain}",
        what=f"{len(below)} of {len(asked)} questions were new names of {length:.0f} characters on average, like noise"
        f" ({noise:.1f} bits a character): about {carried:,} bytes went out this way.",
        subjects=[f"host:{client}", f"name:{domain}"],
        at=newest((q.at for q in asked), guard.now),
        score=score,
        evidence=_some(asked),
        features=[
            feature("names", len(below), TUNNEL_NAMES),
            feature("new", new, TUNNEL_NEW),
            feature("length", length, TUNNEL_LENGTH),
            feature("entropy", noise, TUNNEL_ENTROPY),
            feature("odd_types", odd),
            feature("bytes", carried),
        ],
        advice=f"Find the process on {client} that asks, and refuse {domain} at the resolver until it is known.",
        key=domain,
    )


# Names that do not exist ---------------------------------------------------------------------------------------------


def _generated(guard: Guard) -> list[Insight]:
    """By client and hour: domains that nobody registered."""
    found: dict[str, Insight] = {}
    by_client = grouped((q.client, q) for q in guard.queries if not q.local)
    for client, asked in by_client.items():
        for hour in hours((q.at, q) for q in asked).values():
            one = _missing(guard, client, hour)
            if one and (client not in found or one.score > found[client].score):
                found[client] = one
    return _strongest(list(found.values()))


def _missing(guard: Guard, client: str, asked: list[Query]) -> Insight | None:
    missing = [q for q in asked if q.rcode == "NXDOMAIN" and q.name.rpartition(".")[2] not in _LOCAL and "." in q.name]
    first = {registered(q.name): q for q in missing}
    domains = {domain: likelihood(domain.partition(".")[0]) for domain in first if not domain.startswith("xn--")}
    if len(domains) < DGA_NAMES:
        return None
    bits = sum(domains.values()) / len(domains)
    part = share(len(missing), len(asked))
    looks = bits < DGA_BITS
    if not looks and (len(domains) < MISSING_NAMES or part < MISSING_SHARE):
        return None
    severity: Severity = "high" if looks else "medium"
    says = (
        "their letters follow one another as chance would have it" if looks else "whatever asks expects some to exist"
    )
    return insight(
        "dns-guard",
        "generated_names" if looks else "missing_names",
        severity=severity,
        title=f"{client} tries {len(domains)} domains that do not exist",
        what=f"Within an hour {client} asked for {len(domains)} domains that nobody registered; {says}. Malware finds"
        " its servers so.",
        subjects=[f"host:{client}"],
        at=newest((q.at for q in missing), guard.now),
        score=(70 if looks else 45) + min(20, len(domains) / 10) + min(10, max(0.0, DGA_BITS - bits) * 5),
        evidence=_some([first[domain] for domain in sorted(domains, key=lambda d: (domains[d], d))]),
        features=[
            feature("domains", len(domains), DGA_NAMES if looks else MISSING_NAMES),
            feature("bits", bits, DGA_BITS),
            feature("missing", part, "" if looks else MISSING_SHARE),
        ],
        advice=f"Examine {client}: which process asks, since when, and whether one of the names was ever answered.",
    )


def _floods(guard: Guard) -> list[Insight]:
    """By registered domain and hour: random names below it that are not there."""
    found: dict[str, Insight] = {}
    by_domain = grouped((registered(q.name), q) for q in guard.queries if not q.local and q.rcode)
    for domain, asked in by_domain.items():
        if len(asked) < FLOOD_NAMES or domain in CARRIERS or domain.rpartition(".")[2] in _LOCAL:
            continue
        for hour in hours((q.at, q) for q in asked).values():
            one = _flood(guard, domain, hour)
            if one and (domain not in found or one.score > found[domain].score):
                found[domain] = one
    return _strongest(list(found.values()))


def _flood(guard: Guard, domain: str, asked: list[Query]) -> Insight | None:
    failed = [q for q in asked if q.rcode in ("NXDOMAIN", "SERVFAIL", "REFUSED")]
    names = {q.name: q for q in failed if q.name != domain}
    part = share(len(failed), len(asked))
    if len(names) < FLOOD_NAMES or part < FLOOD_MISSING:
        return None
    clients = Counter(q.client for q in failed)
    return insight(
        "dns-guard",
        "random_names",
        severity="medium",
        title=f"{len(names)} names below {domain} that are not there",
        what=f"Within an hour {len(clients)} clients asked for {len(names)} names below {domain}, {part:.0%} in vain: a"
        " search for its hosts, or a flood against its servers that goes through this resolver.",
        subjects=[f"name:{domain}", *(f"host:{client}" for client, _ in clients.most_common(20))],
        at=newest((q.at for q in failed), guard.now),
        score=50 + min(40, len(names) / 25),
        evidence=_some(list(names.values())),
        features=[
            feature("names", len(names), FLOOD_NAMES),
            feature("missing", part, FLOOD_MISSING),
            feature("clients", len(clients)),
        ],
        advice="Limit questions by client at the resolver, and look at what the first of these clients runs.",
    )


# Answers that point inside -------------------------------------------------------------------------------------------


def _inside(guard: Guard) -> list[Insight]:
    """Names of the Internet that answer with addresses of this network: how a web page of a stranger gets at it."""
    told = [(q, ip) for q in guard.queries if not q.local and q.rcode == "NOERROR" for ip in q.answers if is_inside(ip)]
    groups = grouped((registered(q.name), (q, ip)) for q, ip in told if q.name.rpartition(".")[2] not in _LOCAL)
    outside = {q.name for q in guard.queries if any(not is_inside(ip) for ip in q.answers)}
    found = [
        _rebound(guard, domain, hits, outside) for domain, hits in groups.items() if _counts(domain, hits, outside)
    ]
    return _strongest(found)


def _counts(domain: str, hits: list[tuple[Query, str]], outside: set[str]) -> bool:
    """Block lists for mail answer with addresses of the loopback network: alone these say nothing."""
    if "." not in domain or domain in CARRIERS:
        return False
    return any(not ip.startswith("127.") or q.name in outside for q, ip in hits)


def _rebound(guard: Guard, domain: str, hits: list[tuple[Query, str]], outside: set[str]) -> Insight:
    names, inside = {q.name for q, _ in hits}, sorted({ip for _, ip in hits})
    both = not names.isdisjoint(outside)
    return insight(
        "dns-guard",
        "points_inside",
        severity="high" if both else "low",
        title=f"{domain} answers with addresses of this network",
        what=f"{len(names)} names below {domain} lead to {', '.join(inside[:4])}"
        + (", and to addresses of the Internet at other times: so it is with DNS rebinding." if both else "."),
        subjects=[f"name:{domain}", *(f"host:{ip}" for ip in inside[:20])],
        at=newest((q.at for q, _ in hits), guard.now),
        score=75 if both else 25,
        evidence=_some([q for q, _ in hits]),
        features=[feature("names", len(names), 1), feature("addresses", len(inside)), feature("both", int(both))],
        advice="Let the resolver refuse such answers (dnsmasq: stop-dns-rebind), but for domains that mean it.",
    )


# Steady calls --------------------------------------------------------------------------------------------------------


def _calls(guard: Guard) -> list[Insight]:
    """By client and name: asked for by the clock, by hardly anybody else."""
    clients = {domain: len({q.client for q in asked}) for domain, asked in _by_domain(guard).items()}
    asked = grouped(((q.client, q.name), q) for q in guard.queries if q.at is not None and not q.local)
    found: list[Insight] = []
    for (client, name), mine in asked.items():
        domain = registered(name)
        if len(mine) <= CALL_GAPS or domain in STEADY | CARRIERS or domain.rpartition(".")[2] in _LOCAL:
            continue
        beat = rhythm(q.at for q in mine if q.at is not None)
        if beat and clients[domain] <= CALL_CLIENTS and _is_steady(beat):
            found.append(_call(guard, client, name, mine, beat))
    return _strongest(found)


def _by_domain(guard: Guard) -> dict[str, list[Query]]:
    return grouped((registered(q.name), q) for q in guard.queries)


def _is_steady(beat: Rhythm) -> bool:
    return (
        beat.gaps >= CALL_GAPS
        and beat.period >= CALL_PERIOD_S
        and beat.jitter <= CALL_JITTER
        and beat.span >= CALL_SPAN_S
    )


def _call(guard: Guard, client: str, name: str, mine: list[Query], beat: Rhythm) -> Insight:
    return insight(
        "dns-guard",
        "steady_call",
        severity="low",
        title=f"{client} asks for {name} every {beat.period:.0f} s",
        what=f"{beat.gaps + 1} times in {beat.span / 3600:.1f} h, each {beat.jitter:.1%} of a period off, and hardly"
        " anybody else asks for the domain: a program calls home by the clock, for good or ill.",
        subjects=[f"host:{client}", f"name:{name}"],
        at=newest((q.at for q in mine), guard.now),
        score=20 + min(20, beat.gaps / 10),
        evidence=_some(mine),
        features=[
            feature("gaps", beat.gaps, CALL_GAPS),
            feature("period_s", beat.period, CALL_PERIOD_S),
            feature("jitter", beat.jitter, CALL_JITTER),
            feature("span_s", beat.span, CALL_SPAN_S),
        ],
        advice=f"Find out what on {client} asks for {name}.",
        key=name,
    )


def _some(asked: Sequence[Query]) -> Iterator[Evidence]:
    """The first questions, as evidence."""
    for q in asked[:_SHOWN]:
        yield evidence(f"{q.client} asked for {q.type} {q.name}{f': {q.rcode}' if q.rcode else ''}", "", q.line)


def _strongest(found: list[Insight]) -> list[Insight]:
    return sorted(found, key=lambda one: (-one.score, one.id))[:MOST]
