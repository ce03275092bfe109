"""A small world with everything in it that can be asked about, and a naive model of what a query finds there."""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from spectra.model.facts import NOWHERE, HostFacts, Place
from spectra.model.fields import FINDINGS
from spectra.model.observation import Banner, Certificate, EndpointSeen, Hostname, HostSeen, Protocol, Service, State
from spectra.model.query import WORDS, Moment, Network, Numbers, Ports, Query, Regex, Scores, Term, Text, Times, Value
from tests.store.flaws import Flaw
from tests.store.scribe import T0, Scribe

DAY = timedelta(days=1)

PRODUCTS = ["nginx", "Apache httpd", "Apache Tomcat/Coyote JSP engine", "OpenSSH", "Foo - Bar (v2)", "---", ""]
VERSIONS = ["1.2", "1.2.3", "1.20", "1.2p1", "1.2-rc", "9.2p1 Debian 2", ""]
SERVICES = ["http", "https", "ssh", "imap", "HTTP", "s", ""]
SPEECH = ["welcome", "to", "nginx", "login", "page", "42", "SSH"]
NAMES = [
    "example.org",
    "a.example.org",
    "b.a.example.org",
    "notexample.org",
    "examplexorg",
    "100%.example.org",
    "x_y",
    "b.xay",
]
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.1.200", "10.255.255.255", "11.0.0.0", "192.0.2.7", "2001:db8::1", "::ffff"]
PORTS = [0, 21, 22, 80, 443, 8080, 65535]
SCANS = ["weekly", "nightly", "odd'; --"]
PEOPLE = ["alice", "bob", "Łukasz"]
SYSTEMS = ["Linux 5.4", "Linux 4.15 - 5.8", "Windows", "FreeBSD 13.2-RELEASE", ""]
MAKERS = ["Raspberry Pi Trading", "Intel Corporate", ""]
MACS = ["00:1b:21:aa:bb:cc", "00:1b:21:aa:bb:cd", "b8:27:eb:00:00:01", ""]
CPES = [
    ("cpe:/a:openbsd:openssh:9.2p1",),
    ("cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*",),
    ("cpe:/o:linux:linux_kernel", "cpe:/a:f5:nginx:1.2"),
    (r"cpe:2.3:a:foo:bar\+\+:1.0:*:*:*:*:*:*:*",),
    (),
]
PLACES = [
    Place(13335, "Cloudflare, Inc.", "US", "United States", "California", "San Francisco", "cloudflare"),
    Place(16509, "Amazon.com, Inc.", "US", "United States", "Virginia", "Ashburn", "aws", "EC2", "us-east-1"),
    Place(16509, "Amazon.com, Inc.", "FR", "France", "Île-de-France", "Paris", "aws", "S3", "eu-west-3"),
    Place(3215, "Orange S.A.", "FR", "France", "Île-de-France", "PARIS"),
    Place(64512, "", "", "", "", "Paris-Plage"),
    NOWHERE,
]
ISSUERS = ["CN=R3,O=Let's Encrypt,C=US", "CN=Example Root,O=Example,C=FR", ""]
SUBJECTS = [("www.example.org", "CN=www.example.org,O=Example Ltd"), ("a.example.org", ""), ("", "")]
SANS = [("www.example.org", "*.Example.ORG"), ("100%.example.org", "192.0.2.7"), ("2001:db8::1",), ()]
SERIALS = ["4a1", "ff00", ""]

Key = tuple[str, int, str]


@dataclass
class Host:
    """One host as a person would note it down."""

    ip: str
    first_seen: datetime
    names: Sequence[str]
    place: Place
    os: str
    mac: str
    vendor: str


@dataclass
class Endpoint:
    """One endpoint of it; `looks` are the scans and contributors that listed it, `findings` what it suffers from."""

    host: Host
    port: int
    protocol: Protocol
    service: Service | None
    banner: Banner | None
    certificate: Certificate | None
    last_seen: datetime
    state: State = "open"
    looks: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    findings: Sequence[Flaw] = ()

    @property
    def key(self) -> Key:
        """What the store knows it by."""
        return (self.host.ip, self.port, self.protocol)


def world(write: Scribe) -> list[Endpoint]:
    """Some fifty endpoints with everything there is to ask about, written into the store and returned.

    Each host is looked at twice; the second look leaves one endpoint out, confirms most and finds others gone.
    """
    chance = random.Random(7)
    endpoints: list[Endpoint] = []
    for number, ip in enumerate(ADDRESSES):
        at, names = T0 + chance.randint(0, 5) * DAY, chance.sample(NAMES, chance.randint(0, 4))
        mac = chance.choice(MACS)
        host = Host(
            ip, at, names, PLACES[number % len(PLACES)], chance.choice(SYSTEMS), mac, chance.choice(MAKERS) * bool(mac)
        )
        mine = list({e.key: e for e in (_endpoint(chance, host) for _ in range(9))}.values())
        _look(write, chance, at, mine)
        for endpoint in mine[1:]:
            endpoint.state = chance.choice(["open", "open", "closed", "filtered"])
            if endpoint.state == "open":
                endpoint.last_seen = at + 7 * DAY
            else:
                endpoint.service = endpoint.banner = endpoint.certificate = None
        _look(write, chance, at + 7 * DAY, mine[1:])
        endpoints += mine
    return endpoints


def _endpoint(chance: random.Random, host: Host) -> Endpoint:
    service = Service(
        name=chance.choice(SERVICES),
        product=chance.choice(PRODUCTS),
        version=chance.choice(VERSIONS),
        os=chance.choice(SYSTEMS),
        tunnel=chance.choice(["", "tls"]),
        cpe=chance.choice(CPES),
    )
    title, text = (" ".join(chance.choices(SPEECH, k=chance.randint(0, 4))) for _ in range(2))
    return Endpoint(
        host,
        chance.choice(PORTS),
        chance.choice(("tcp", "udp", "sctp")),
        service if chance.random() < 0.8 else None,
        Banner(text=text, title=title) if chance.random() < 0.8 else None,
        _certificate(chance) if chance.random() < 0.7 else None,
        host.first_seen,
    )


def _certificate(chance: random.Random) -> Certificate:
    cn, subject = chance.choice(SUBJECTS)
    return Certificate(
        sha256=f"{chance.getrandbits(256):064x}",
        subject_cn=cn,
        subject=subject,
        issuer=chance.choice(ISSUERS),
        sans=chance.choice(SANS),
        not_after=T0 + chance.randint(0, 60) * DAY if chance.random() < 0.8 else None,
        serial=chance.choice(SERIALS),
    )


def _look(write: Scribe, chance: random.Random, at: datetime, endpoints: Sequence[Endpoint]) -> None:
    scan, contributor = chance.choice(SCANS), chance.choice(PEOPLE)
    for endpoint in endpoints:
        endpoint.looks.append((scan, contributor))
    listed = [EndpointSeen(e.port, e.protocol, e.state, e.service, e.banner, e.certificate) for e in endpoints]
    host = endpoints[0].host
    record = HostSeen(
        host.ip,
        at,
        endpoints=tuple(listed),
        hostnames=tuple(Hostname(name=name) for name in host.names),
        os=host.os,
        mac=host.mac,
        vendor=host.vendor,
    )
    write([HostFacts(host.ip, 1, host.place), record], at=at, scan_id=scan, contributor=contributor)


# What a query finds, by the words of the documentation ----------------------------------------------------------------


def expected(endpoints: Sequence[Endpoint], query: Query) -> set[Key]:
    """The keys of the endpoints that satisfy `query`."""
    return {e.key for e in endpoints if _satisfies(e, query)}


def _satisfies(e: Endpoint, query: Query) -> bool:
    if e.state != "open" and not any(term.field == "state" for term in query.terms):
        return False
    seen_by = [t for t in query.terms if t.field in ("scan", "contributor") and not t.negated]
    if seen_by and not any(all(_looked(look, term) for term in seen_by) for look in e.looks):
        return False
    suffers = [t for t in query.terms if t.field in FINDINGS and not t.negated]
    if suffers and not any(all(_is_flawed(flaw, term) for term in suffers) for flaw in e.findings):
        return False
    others = [term for term in query.terms if term not in seen_by and term not in suffers]
    return all(any(_holds(e, term.field, value) for value in term.values) != term.negated for term in others)


def _looked(look: tuple[str, str], term: Term) -> bool:
    return any(isinstance(v, Text) and v.text == look[term.field == "contributor"] for v in term.values)


def _is_flawed(flaw: Flaw, term: Term) -> bool:
    return any(_is_of(flaw, term.field, value) for value in term.values)


def _is_of(flaw: Flaw, name: str, value: Value) -> bool:
    if isinstance(value, Scores):
        score = flaw.cvss if name == "cvss" else flaw.epss
        ends = score is not None and value.beyond and score in (value.low, value.high)
        low, high = (value.low or 0), (10.0 if value.high is None else value.high)
        return score is not None and not ends and low <= score <= high
    assert isinstance(value, Text)
    if name == "vuln":
        return flaw.cve.startswith(value.text) if value.prefix else flaw.cve == value.text
    return {"severity": flaw.severity, "kev": str(flaw.kev).lower(), "has": "finding"}[name] == value.text


def _holds(e: Endpoint, name: str, value: Value) -> bool:
    if name in FINDINGS:
        return any(_is_of(flaw, name, value) for flaw in e.findings)
    match value:
        case Network(first, last):
            low, ip, high = (ipaddress.ip_address(a) for a in (first, e.host.ip, last))
            return low.version == ip.version and int(low) <= int(ip) <= int(high)
        case Ports(low, high):
            return low <= e.port <= high
        case Numbers(low, high):
            return low <= e.host.place.asn <= high
        case Moment(at):
            return e.last_seen >= at if name == "since" else e.last_seen < at
        case Times(start, end):
            at = _TIMES[name](e)
            return at is not None and (start is None or at >= start) and (end is None or at < end)
        case Regex(pattern):
            return any(re.search(pattern, text, re.IGNORECASE) for text in _SAID[name](e))
        case Scores():
            return False
        case Text():
            return _HOLDS[name](e, value.text.lower(), value)


_TIMES: Mapping[str, Callable[[Endpoint], datetime | None]] = {
    "first_seen": lambda e: e.host.first_seen,
    "last_seen": lambda e: e.last_seen,
    "cert.expires": lambda e: e.certificate.not_after if e.certificate else None,
}
_SAID: Mapping[str, Callable[[Endpoint], Sequence[str]]] = {
    WORDS: lambda e: [e.banner.text, e.banner.title] if e.banner else [],
    "title": lambda e: [e.banner.title] if e.banner else [],
    "service": lambda e: [e.service.name] if e.service else [],
    "product": lambda e: [e.service.product] if e.service else [],
    "version": lambda e: [e.service.version] if e.service else [],
    "os": lambda e: [text for text in (e.host.os, e.service.os if e.service else "") if text],
    "vendor": lambda e: [e.host.vendor] if e.host.vendor else [],
    "hostname": lambda e: e.host.names,
    "region": lambda e: [e.host.place.region] if e.host.place.known else [],
    "city": lambda e: [e.host.place.city] if e.host.place.known else [],
    "org": lambda e: [e.host.place.org] if e.host.place.known else [],
    "cert.subject": lambda e: [e.certificate.subject, e.certificate.subject_cn] if e.certificate else [],
    "cert.issuer": lambda e: [e.certificate.issuer] if e.certificate else [],
    "cert.san": lambda e: [" ".join(e.certificate.sans)] if e.certificate else [],
}


def _service(e: Endpoint, text: str, value: Text) -> bool:
    if e.service is None:
        return False
    name = e.service.name.lower()
    if value.prefix:
        return name != "" and name.startswith(text)
    return name == text or (len(text) > 1 and f"{name}s" == text and e.service.tunnel == "tls")


def _version(e: Endpoint, text: str, value: Text) -> bool:
    if e.service is None or not e.service.version.lower().startswith(text):
        return False
    if value.prefix:
        return e.service.version != ""
    rest = e.service.version[len(text) :]
    return not rest or not rest[0].isalnum()


def _phrase(said: str, value: Text) -> bool:
    wanted, words = _cut(value.text.lower()), _cut(said.lower())
    if not said:
        return False
    if not wanted:
        return (value.prefix and not value.text) or said.lower() == value.text.lower()
    return _contains(words, wanted, prefix=value.prefix)


def _phrases(name: str) -> Callable[[Endpoint, str, Text], bool]:
    return lambda e, _, value: any(_phrase(said, value) for said in _SAID[name](e))


def _words(e: Endpoint, text: str, _: Text) -> bool:
    return e.banner is not None and _contains(_cut(f"{e.banner.title} {e.banner.text}".lower()), _cut(text))


def _title(e: Endpoint, text: str, _: Text) -> bool:
    return e.banner is not None and _contains(_cut(e.banner.title.lower()), _cut(text))


def _cut(text: str) -> list[str]:
    return [word for word in re.split(r"[\s!-&(-/:-@\[-`{-~]+", text) if word]


def _contains(words: Sequence[str], wanted: Sequence[str], *, prefix: bool = False) -> bool:
    stretches = (list(words[i : i + len(wanted)]) for i in range(len(words) - len(wanted) + 1))
    if not prefix:
        return list(wanted) in stretches
    return any(s[:-1] == list(wanted[:-1]) and s[-1].startswith(wanted[-1]) for s in stretches)


def _named(said: Callable[[Place], str]) -> Callable[[Endpoint, str, Text], bool]:
    """The whole of a name of a place, or the start of it."""

    def check(e: Endpoint, text: str, value: Text) -> bool:
        name = said(e.host.place).lower()
        return name != "" and (name.startswith(text) if value.prefix else name == text)

    return check


def _country(e: Endpoint, text: str, value: Text) -> bool:
    place = e.host.place
    if place.country and (value.text == place.country or (value.prefix and not text)):
        return True
    return _named(lambda p: p.country_name)(e, text, value)


def _cloud(e: Endpoint, text: str, value: Text) -> bool:
    provider, slash, inside = value.text.partition("/")
    if not slash:
        return _named(lambda p: p.cloud)(e, text, value)
    part = Text(inside, value.prefix)
    region, service = _named(lambda p: p.cloud_region), _named(lambda p: p.cloud_service)
    here = e.host.place.cloud == provider
    return here and (region(e, inside.lower(), part) or service(e, inside.lower(), part))


def _cpe(e: Endpoint, text: str, _: Text) -> bool:
    wanted = [part.replace("\\", "") for part in text.split(":")]
    for name in e.service.cpe if e.service else ():
        parts = re.sub(r"cpe:(2\.3:|/)", "", name).replace("\\", "").split(":")
        if len(parts) >= len(wanted) and all(w in ("*", p) for w, p in zip(wanted, parts, strict=False)):
            return True
    return False


def _san(e: Endpoint, text: str, _: Text) -> bool:
    names = [name.lower() for name in e.certificate.sans] if e.certificate else []
    return any(name == text or name.endswith(f".{text}") for name in names)


def _start(said: Callable[[Endpoint], str]) -> Callable[[Endpoint, str, Text], bool]:
    def check(e: Endpoint, text: str, value: Text) -> bool:
        name = said(e)
        return name != "" and (name.startswith(text) if value.prefix else name == text)

    return check


_HOLDS: dict[str, Callable[[Endpoint, str, Text], bool]] = {
    WORDS: _words,
    "title": _title,
    "service": _service,
    "product": _phrases("product"),
    "version": _version,
    "cpe": _cpe,
    "os": _phrases("os"),
    "vendor": _phrases("vendor"),
    "mac": _start(lambda e: e.host.mac),
    "protocol": lambda e, text, _: e.protocol == text,
    "state": lambda e, text, _: e.state == text,
    "hostname": lambda e, text, _: any(n == text or n.endswith(f".{text}") for n in e.host.names),
    "country": _country,
    "region": _named(lambda p: p.region),
    "city": _named(lambda p: p.city),
    "org": _phrases("org"),
    "cloud": _cloud,
    "cert.subject": _phrases("cert.subject"),
    "cert.issuer": _phrases("cert.issuer"),
    "cert.san": _san,
    "cert.sha256": _start(lambda e: e.certificate.sha256 if e.certificate else ""),
    "cert.serial": lambda e, text, _: e.certificate is not None and e.certificate.serial == text,
    "scan": lambda e, _, value: any(scan == value.text for scan, _ in e.looks),
    "contributor": lambda e, _, value: any(who == value.text for _, who in e.looks),
}
