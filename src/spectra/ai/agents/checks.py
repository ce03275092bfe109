"""What Config Advisor can tell from the store: one check each, with its evidence.

A check is `good`, `bad`, or `unknown` where nothing was seen that it could tell from. Scans see what they were pointed
at: a check is good only where the estate was scanned lately.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from spectra.model.findingrecords import FindingRecord
from spectra.model.insights import Evidence, Severity, evidence
from spectra.store.agentfacts import Account, Posture, Told

Status = Literal["good", "bad", "unknown"]

SCAN_DAYS: Final = 4
"""Days of the last 30 with scans: about once a week."""
FRESH: Final = timedelta(days=14)
LATE: Final = timedelta(days=30)
IDLE: Final = timedelta(days=90)
OLD_KEY: Final = timedelta(days=2 * 365)
MANY_ADMINS: Final = 5
SEEN_PART: Final = 0.8
"""Part of the known hosts that was seen within 30 days."""

_MAIL: Final = frozenset({"pop3", "imap"})
_DATABASES: Final = frozenset({1433, 1521, 2375, 2379, 3306, 5432, 6379, 9200, 11211, 27017})


class Estate(NamedTuple):
    """What checks look at. `findings`: open ones, the most urgent; `providers`: opted-in providers of models, and where
    each works (`machine`, `eu`, `elsewhere`).
    """

    posture: Posture
    findings: Sequence[FindingRecord]
    providers: Mapping[str, str]
    now: datetime

    @property
    def scanned(self) -> bool:
        """Whether something was seen lately that speaks of the estate."""
        last = self.posture.last_scan
        return last is not None and self.now - last <= LATE and self.posture.endpoints > 0


class Check(NamedTuple):
    """What a check found."""

    status: Status
    says: str
    evidence: tuple[Evidence, ...] = ()
    severity: Severity = "medium"


def _none_of(estate: Estate, told: Told, bad: str, good: str, severity: Severity) -> Check:
    """Bad where there is any; good where the estate was scanned and there is none."""
    if told.number:
        return Check("bad", f"{bad}: {told.number}.", _places(told), severity)
    if estate.scanned:
        return Check("good", good)
    return Check("unknown", "Nothing was scanned within 30 days.")


def _places(told: Told) -> tuple[Evidence, ...]:
    return tuple(evidence(place.says, place.record) for place in told.places[:10])


def _clear_protocols(estate: Estate) -> Check:
    return _none_of(
        estate,
        estate.posture.clear,
        "Services that carry passwords or data in clear",
        "No service was seen that carries passwords in clear.",
        "high",
    )


def _mail_in_clear(estate: Estate) -> Check:
    places = tuple(p for p in estate.posture.clear.places if p.says.split()[2] in _MAIL)
    return _none_of(
        estate,
        Told(len(places), places),
        "Mail services without TLS",
        "No mail service without TLS was seen.",
        "medium",
    )


def _web_in_clear(estate: Estate) -> Check:
    return _none_of(
        estate,
        estate.posture.web_in_clear,
        "Web services at addresses of the Internet that answer without TLS (also such as only lead to https)",
        "No web service without TLS was seen at addresses of the Internet.",
        "low",
    )


def _admin_services(estate: Estate) -> Check:
    return _none_of(
        estate,
        estate.posture.admin,
        "Services for administration, and databases, that are open to the Internet",
        "No service for administration was seen open to the Internet.",
        "high",
    )


def _databases(estate: Estate) -> Check:
    places = tuple(
        p for p in estate.posture.admin.places if p.record.rpartition("/")[2] in {str(port) for port in _DATABASES}
    )
    return _none_of(
        estate,
        Told(len(places), places),
        "Databases that are open to the Internet",
        "No database was seen open to the Internet.",
        "critical",
    )


def _certificates(estate: Estate) -> Check:
    posture = estate.posture
    bad = Told(posture.expired.number + posture.weak_keys.number, (*posture.expired.places, *posture.weak_keys.places))
    if not bad.number and posture.expiring.number:
        return Check("good", f"{posture.expiring.number} certificates end within 30 days.", _places(posture.expiring))
    return _none_of(
        estate,
        bad,
        "Certificates that have ended or have keys that are too short",
        "No certificate was seen that has ended or has too short a key.",
        "medium",
    )


def _old_tls(estate: Estate) -> Check:
    if not estate.posture.old_tls.number:  # most scans do not look for it: silence shows nothing
        return Check("unknown", "No scan found old versions of TLS; nmap's ssl-enum-ciphers and nuclei look for them.")
    return Check(
        "bad",
        f"{estate.posture.old_tls.number} services offer versions of TLS that are broken.",
        _places(estate.posture.old_tls),
    )


def _default_credentials(estate: Estate) -> Check:
    if not estate.posture.defaults.number:
        return Check("unknown", "No scan found default passwords; nuclei and nmap's scripts look for them.")
    return Check(
        "bad",
        f"{estate.posture.defaults.number} services let in by a default password, or by none.",
        _places(estate.posture.defaults),
        "critical",
    )


def _known_exploited(estate: Estate) -> Check:
    mine = [one for one in estate.findings if one.kev is not None]
    if mine:
        return Check(
            "bad",
            f"{len({one.cve for one in mine})} weaknesses that are known to be exploited are open on"
            f" {len({one.ip for one in mine})} hosts.",
            _findings(mine),
            "critical",
        )
    return _no_findings(estate, "No weakness that is known to be exploited is open.")


def _late_repairs(estate: Estate) -> Check:
    grave = ("critical", "high")
    late = [one for one in estate.findings if one.severity in grave and estate.now - one.known > LATE]
    if late:
        return Check(
            "bad", f"{len(late)} findings of high or critical severity are open for more than 30 days.", _findings(late)
        )
    return _no_findings(estate, "No finding of high or critical severity is open for more than 30 days.")


def _no_findings(estate: Estate, good: str) -> Check:
    """None found shows something only where there were feeds to find by, and scans."""
    if not any(source.updated for source in estate.posture.sources):
        return Check("unknown", "There is no feed of weaknesses to find any by.")
    return Check("good", good) if estate.scanned else Check("unknown", "Nothing was scanned within 30 days.")


def _findings(findings: Sequence[FindingRecord]) -> tuple[Evidence, ...]:
    return tuple(evidence(f"{one.ip} {one.port}: {one.cve}", f"finding:{one.id}") for one in findings[:10])


def _obsolete_systems(estate: Estate) -> Check:
    check = _none_of(
        estate,
        estate.posture.obsolete,
        "Hosts with systems that get no updates any more",
        "No host was seen with a system that gets no updates any more.",
        "high",
    )
    return check if check.status == "bad" else Check("unknown", f"{check.says} Scans tell the system of few hosts.")


def _inventory(estate: Estate) -> Check:
    posture = estate.posture
    if not posture.hosts:
        return Check("unknown", "No host is known: nothing was scanned.")
    part = posture.seen_lately / posture.hosts
    says = f"{posture.hosts} hosts are known, {posture.seen_lately} of them seen within 30 days."
    told = (evidence(f"{posture.stale.number} open endpoints were not seen for 30 days"), *_places(posture.stale))
    return Check("good" if part >= SEEN_PART else "bad", says, told, "low")


def _privileged_accounts(estate: Estate) -> Check:
    admins = [one for one in estate.posture.accounts if one.role == "admin"]
    if not admins:
        return Check("unknown", "This node has no admin with a password or key.")
    says = f"{len(admins)} accounts of this node are admins; those of other systems are not known here."
    status: Status = "bad" if len(admins) > MANY_ADMINS else "unknown"
    return Check(status, says, _accounts(admins), "low")


def _idle_accounts(estate: Estate) -> Check:
    people = [one for one in estate.posture.accounts if one.password]
    idle = [one for one in people if estate.now - (one.used or one.created) > IDLE]
    old = [one for one in estate.posture.accounts if one.oldest_key and estate.now - one.oldest_key > OLD_KEY]
    if idle or old:
        says = f"{len(idle)} accounts were not used for 90 days, {len(old)} have keys older than two years."
        return Check("bad", says, _accounts([*idle, *old]), "low")
    return Check("unknown", "No account of this node is idle; those of other systems are not known here.")


def _passwords_alone(estate: Estate) -> Check:
    """This node's sign-in is a password or a key: a password alone is one factor."""
    alone = [one for one in estate.posture.accounts if one.password and one.role == "admin" and not one.keys]
    if alone:
        return Check("bad", f"{len(alone)} admins of this node sign in by password alone.", _accounts(alone), "medium")
    return Check("unknown", "No admin of this node signs in by password alone; other systems are not known here.")


def _accounts(accounts: Iterable[Account]) -> tuple[Evidence, ...]:
    return tuple(
        evidence(f"{one.name}, {one.role}, since {one.created:%Y-%m-%d}, {one.keys} keys", f"account:{one.name}")
        for one in list(accounts)[:10]
    )


def _audit_log(estate: Estate) -> Check:
    posture = estate.posture
    if posture.chain:
        return Check("bad", f"The provenance chain is broken: {posture.chain}.", severity="critical")
    says = f"The provenance chain has {posture.entries} entries, and the newest 500 hold."
    return Check("good", says, (evidence("`spectra provenance verify` reads all of it", "chain:head"),))


def _regular_scans(estate: Estate) -> Check:
    posture = estate.posture
    last = f"the last {posture.last_scan:%Y-%m-%d}" if posture.last_scan else "never"
    says = f"Scans came in on {posture.scans} of the last 30 days ({last}); {posture.schedules} schedules make more."
    return Check("good" if posture.scans >= SCAN_DAYS else "bad", says, severity="medium")


def _vulnerability_feeds(estate: Estate) -> Check:
    sources = estate.posture.sources
    fresh = [one for one in sources if one.updated and estate.now - one.updated <= FRESH]
    told = tuple(
        evidence(f"{one.name}: {f'{one.updated:%Y-%m-%d}' if one.updated else 'never'}", f"feed:{one.name}")
        for one in sources[:10]
    )
    if not sources:
        return Check("bad", "There is no feed of weaknesses.", severity="medium")
    says = f"{len(fresh)} of {len(sources)} feeds of weaknesses were brought up to date within two weeks."
    return Check("good" if len(fresh) == len(sources) else "bad", says, told, "medium")


def _backups(estate: Estate) -> Check:
    del estate
    return Check("unknown", "Scans cannot see backups.")


def _decisions(estate: Estate) -> Check:
    says = f"{estate.posture.decisions} decisions about findings hold, each with who took it and why."
    return Check("unknown", says)


def _provider_residency(estate: Estate) -> Check:
    """Where language models work that this node may ask."""
    away = {name: place for name, place in estate.providers.items() if place != "machine"}
    told = tuple(evidence(f"{name}: {place}") for name, place in sorted(estate.providers.items()))
    if "elsewhere" in away.values():
        return Check("bad", "A provider outside the EU is opted in to; generic text alone may go there.", told, "low")
    return Check("good", f"{len(away)} providers of models off this machine are opted in to, all of the EU.", told)


CHECKS: Final[Mapping[str, Callable[[Estate], Check]]] = {
    "admin_services": _admin_services,
    "audit_log": _audit_log,
    "backups": _backups,
    "certificates": _certificates,
    "clear_protocols": _clear_protocols,
    "databases": _databases,
    "decisions": _decisions,
    "default_credentials": _default_credentials,
    "idle_accounts": _idle_accounts,
    "inventory": _inventory,
    "known_exploited": _known_exploited,
    "late_repairs": _late_repairs,
    "mail_in_clear": _mail_in_clear,
    "obsolete_systems": _obsolete_systems,
    "old_tls": _old_tls,
    "passwords_alone": _passwords_alone,
    "privileged_accounts": _privileged_accounts,
    "provider_residency": _provider_residency,
    "regular_scans": _regular_scans,
    "vulnerability_feeds": _vulnerability_feeds,
    "web_in_clear": _web_in_clear,
}
"""Every check by the name that check-lists call it."""
