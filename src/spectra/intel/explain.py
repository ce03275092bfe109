"""A host explained from its facts alone: fixed rules over the graph, no language model.

A rule says what was seen and nothing more: an open port whose service is unknown is unknown, a name of software is no
weakness. Levels: `high` is open to misuse by whoever reaches it, `medium` weakens what protects, `low` is to be known.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from spectra.intel.enrich.ports import label
from spectra.model.explanations import LEVELS, Explanation, Level, Risk
from spectra.model.observation import Certificate
from spectra.model.records import EndpointRecord, HostRecord

SOON: Final = timedelta(days=30)
MIN_RSA_BITS: Final = 2048  # NIST SP 800-57 part 1, 112 bits of security
MAX_STEPS: Final = 8
MAX_NAMED: Final = 5


class Exposure(NamedTuple):
    """A service that should not be reachable: how bad, what it is, and what to do about it."""

    level: Level
    what: str
    advice: str


_SHELLS: Final = "Switch it off and use SSH."
# By nmap's and IANA's service names. Sent in clear unless the service stands inside TLS.
_PLAIN: Final = {
    "telnet": Exposure("high", "Telnet sends everything, passwords included, in clear", _SHELLS),
    "login": Exposure("high", "rlogin trusts addresses and sends everything in clear", _SHELLS),
    "exec": Exposure("high", "rexec sends passwords in clear", _SHELLS),
    "shell": Exposure("high", "rsh trusts addresses and sends everything in clear", _SHELLS),
    "tftp": Exposure("medium", "TFTP hands out files without a password", "Restrict TFTP to the network that boots."),
    "ftp": Exposure("medium", "FTP sends passwords in clear, unless its clients ask for TLS", "Use SFTP or FTPS."),
    "pop3": Exposure("low", "POP3 without TLS; whether it offers STARTTLS is not known", "Offer POP3 inside TLS only."),
    "imap": Exposure("low", "IMAP without TLS; whether it offers STARTTLS is not known", "Offer IMAP inside TLS only."),
    "ldap": Exposure("low", "LDAP without TLS; whether it offers STARTTLS is not known", "Offer LDAP inside TLS only."),
    "vnc": Exposure("medium", "VNC's own passwords are weak, its pictures travel in clear", "Tunnel VNC through SSH."),
    "snmp": Exposure("medium", "SNMP before version 3 sends its password in clear", "Use SNMPv3, for managers only."),
}  # fmt: skip
_DATABASE: Final = "Bind it to an inner address, or let only its clients through the firewall."
_DATABASES: Final = {
    "mysql": "MySQL",
    "postgresql": "PostgreSQL",
    "ms-sql-s": "Microsoft SQL Server",
    "oracle-tns": "Oracle Database",
    "mongodb": "MongoDB",
    "redis": "Redis",
    "memcached": "Memcached",
    "memcache": "Memcached",
    "elasticsearch": "Elasticsearch",
    "couchdb": "CouchDB",
    "cassandra": "Cassandra",
    "db2": "Db2",
    "neo4j": "Neo4j",
    "influxdb": "InfluxDB",
    "clickhouse": "ClickHouse",
    "rethinkdb": "RethinkDB",
    "etcd": "etcd",
    "zookeeper": "ZooKeeper",
}
_CONTROL: Final = {
    "ms-wbt-server": "remote desktop",
    "rdp": "remote desktop",
    "microsoft-ds": "Windows file sharing (SMB)",
    "netbios-ssn": "Windows file sharing (NetBIOS)",
    "vnc": "VNC",
    "docker": "the Docker API",
    "kubernetes": "the Kubernetes API",
    "winrm": "Windows Remote Management",
    "wsman": "Windows Remote Management",
    "x11": "X11",
    "nfs": "NFS",
    "adb": "the Android debug bridge",
    "ipmi": "IPMI",
}
_OLD_TLS: Final = re.compile(r"\b(SSLv2|SSLv3|TLSv1\.0|TLSv1\.1)\b")
_TLS_SCRIPTS: Final = frozenset({"nse:ssl-enum-ciphers", "nse:sslv2", "nse:sslv2-drown", "nse:ssl-poodle"})
_KEY: Final = re.compile(r"rsa (\d+)", re.IGNORECASE)
_SEVERE: Final[dict[str, Level]] = {"critical": "high", "high": "high", "medium": "medium"}

Rule = Callable[[HostRecord, EndpointRecord, datetime], Iterator[Risk]]


def explain(host: HostRecord, now: datetime) -> Explanation:
    """What is known of `host` at `now` (aware), what to mind, and what to do next."""
    at = host.at or now
    risks = [risk for endpoint in _opened(host) for rule in _RULES for risk in rule(host, endpoint, at)]
    risks += _of_host(host, at)
    risks.sort(key=lambda risk: (LEVELS.index(risk.level), risk.where == ""))
    return Explanation(
        ip=host.ip, at=at, summary=_summary(host, at), risks=tuple(risks), next_steps=_steps(host, risks, at)
    )


def _opened(host: HostRecord) -> list[EndpointRecord]:
    return [endpoint for endpoint in host.endpoints if endpoint.state == "open"]


def _where(endpoint: EndpointRecord) -> str:
    return f"{endpoint.port}/{endpoint.protocol}"


def _name(endpoint: EndpointRecord) -> str:
    return endpoint.service.name.lower() if endpoint.service else ""


def _in_tls(endpoint: EndpointRecord) -> bool:
    return bool(endpoint.service and endpoint.service.tunnel)


# What one port says --------------------------------------------------------------------------------------------------


def _plain(host: HostRecord, endpoint: EndpointRecord, now: datetime) -> Iterator[Risk]:
    exposure = _PLAIN.get(_name(endpoint))
    if exposure and not _in_tls(endpoint):
        yield Risk(exposure.level, "plain-text", f"{exposure.what}.", _where(endpoint), exposure.advice)


def _reachable(host: HostRecord, endpoint: EndpointRecord, now: datetime) -> Iterator[Risk]:
    """A scan saw it open at an address of the Internet; who else gets through is not known."""
    if not ipaddress.ip_address(host.ip).is_global:
        return
    name = _name(endpoint)
    if what := _DATABASES.get(name):
        yield Risk("high", "public-database", f"{what} is open at a public address.", _where(endpoint), _DATABASE)
    elif what := _CONTROL.get(name):
        advice = f"Put {what} behind a VPN or a list of allowed addresses."
        yield Risk("high", "public-control", f"{what[0].upper()}{what[1:]} is open at a public address.",
                   _where(endpoint), advice)  # fmt: skip


def _certificate(host: HostRecord, endpoint: EndpointRecord, now: datetime) -> Iterator[Risk]:
    certificate = endpoint.certificate
    if certificate is None:
        return
    where, advice = _where(endpoint), f"Renew the certificate of {_where(endpoint)}."
    ends, begins = certificate.not_after, certificate.not_before
    if ends and ends < now:
        yield Risk("medium", "certificate-expired", f"The certificate expired on {_day(ends)}.", where, advice)
    elif ends and ends - now < SOON:
        yield Risk("low", "certificate-expiring", f"The certificate expires on {_day(ends)}.", where, advice)
    if begins and begins > now:
        yield Risk("medium", "certificate-early", f"The certificate is valid from {_day(begins)} on only.", where)
    yield from _key(certificate, where)


def _key(certificate: Certificate, where: str) -> Iterator[Risk]:
    found = _KEY.match(certificate.key)
    if found and int(found[1]) < MIN_RSA_BITS:
        says = f"The certificate's RSA key has {found[1]} bits; {MIN_RSA_BITS} are the least today."
        yield Risk("medium", "weak-key", says, where, f"Make a new key for {where}.")
    if certificate.subject and certificate.subject == certificate.issuer:
        yield Risk("low", "self-signed", "The certificate names itself as its issuer.", where)


def _old_tls(host: HostRecord, endpoint: EndpointRecord, now: datetime) -> Iterator[Risk]:
    """By what a script that lists protocols said."""
    offered = {
        version
        for evidence in endpoint.evidence
        if evidence.kind in _TLS_SCRIPTS
        for version in _OLD_TLS.findall(evidence.data)
    }
    if offered:
        says = f"It still speaks {', '.join(sorted(offered))}, which RFC 8996 and its forerunners retired."
        yield Risk("medium", "old-tls", says, _where(endpoint), f"Allow TLS 1.2 and later only on {_where(endpoint)}.")


def _told(host: HostRecord, endpoint: EndpointRecord, now: datetime) -> Iterator[Risk]:
    """What a scanner rated as serious, in its own words."""
    for evidence in endpoint.evidence:
        if level := _SEVERE.get(evidence.severity.lower()):
            said = " ".join(evidence.data.split())[:160]
            yield Risk(level, "finding", f"{evidence.kind} ({evidence.severity}): {said}", _where(endpoint),
                       f"Check {evidence.kind} on {_where(endpoint)}.")  # fmt: skip


def _hearsay(host: HostRecord, endpoint: EndpointRecord, now: datetime) -> Iterator[Risk]:
    if endpoint.sole:
        says = f"Only {endpoint.sole}, who is not trusted, says so."
        yield Risk("low", "hearsay", says, _where(endpoint), f"Look for yourself: spectra scan {host.ip} --submit")


_RULES: Final[tuple[Rule, ...]] = (_plain, _reachable, _certificate, _old_tls, _told, _hearsay)


# What the host says --------------------------------------------------------------------------------------------------


def _of_host(host: HostRecord, now: datetime) -> Iterator[Risk]:
    again = f"Look again: spectra scan {host.ip} --submit"
    opened = _opened(host)
    stale = [endpoint for endpoint in opened if endpoint.stale_at and endpoint.stale_at <= now]
    if stale:
        newest = max(endpoint.last_seen for endpoint in stale)
        says = (
            f"{len(stale)} of {_count(len(opened), 'open port')} may have changed: last seen {_day(newest)} or before."
        )
        yield Risk("low", "stale", says, advice=again)
    if host.down_since:
        says = f"It has not answered since {_day(host.down_since)}; what it ran is told as it was."
        yield Risk("low", "silent", says, advice=again)
    for evidence in host.evidence:
        if level := _SEVERE.get(evidence.severity.lower()):
            said = " ".join(evidence.data.split())[:160]
            yield Risk(
                level, "finding", f"{evidence.kind} ({evidence.severity}): {said}", advice=f"Check {evidence.kind}."
            )


# In words ------------------------------------------------------------------------------------------------------------


def _summary(host: HostRecord, now: datetime) -> str:
    names = _listed([n.name for n in host.hostnames])
    who = f"{host.ip} ({names})" if names else host.ip
    state = "is up" if host.status == "up" else "does not answer"
    sentences = [f"{who} {state}, last seen {_day(host.last_seen)}, known since {_day(host.first_seen)}."]
    if where := _location(host):
        sentences.append(f"It is {where}.")
    if host.os:
        sentences.append(f"It runs {host.os}.")
    sentences.append(_offers(host))
    return " ".join(sentences)


def _location(host: HostRecord) -> str:
    place = host.place
    if place is None:
        return ""
    spot = ", ".join(part for part in (place.city, place.country_name or place.country) if part)
    network = f"{f'AS{place.asn}' if place.asn else ''} {place.org}".strip()
    cloud = " ".join(part for part in (place.cloud, place.cloud_region) if part)
    parts = (
        f"in {spot}" if spot else "",
        f"in the network {network}" if network else "",
        f"at {cloud}" if cloud else "",
    )
    return ", ".join(part for part in parts if part)


def _offers(host: HostRecord) -> str:
    opened = _opened(host)
    if not opened:
        return "No port is known to be open."
    names = Counter(_name(endpoint) or "unknown" for endpoint in opened)
    told = [
        f"{count} {name}" if count > 1 else name for name, count in sorted(names.items(), key=lambda i: (-i[1], i[0]))
    ]
    return f"{_count(len(opened), 'open port')}: {_listed(told)}."


def _steps(host: HostRecord, risks: list[Risk], now: datetime) -> tuple[str, ...]:
    """What the risks advise, the worst first; what to find out; and at least one thing."""
    steps = list(dict.fromkeys(risk.advice for risk in risks if risk.advice))
    unknown = [endpoint for endpoint in _opened(host) if not _name(endpoint)]
    if unknown:
        ports = _listed([_guessed(endpoint) for endpoint in unknown])
        steps.append(f"Find out what runs on {ports}: spectra scan {host.ip} --submit")
    if not steps:
        steps.append(f"Nothing stands out in what is known. See how it came to be so: spectra host {host.ip} --history")
    return tuple(steps[:MAX_STEPS])


def _guessed(endpoint: EndpointRecord) -> str:
    usual = label(endpoint.port, endpoint.protocol)
    return f"{_where(endpoint)} (commonly {usual})" if usual else _where(endpoint)


def _listed(words: list[str]) -> str:
    more = len(words) - MAX_NAMED
    return ", ".join(words[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")
