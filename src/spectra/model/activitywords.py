"""Entries of the provenance chain in plain words: a line each, where to read more, and who did it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast
from urllib.parse import quote

from spectra.model.activity import MAX_TITLE, topic_of


class Submission(NamedTuple):
    """What is known of a submission besides its entry."""

    contributor: str = ""
    scan_id: str = ""
    scan_type: str = ""


class Told(NamedTuple):
    """An entry in words."""

    title: str
    path: str
    account: str


NOBODY: Final = Submission()

# What is between braces is a key of the entry's detail, empty where it has none.
TITLES: Final[Mapping[str, str]] = {
    "account.changed": "Account {name} was changed; it is {role}",
    "account.created": "Account {name} was made, as {role}",
    "account.disabled": "Account {name} was disabled",
    "account.enabled": "Account {name} was enabled again",
    "account.password": "Account {name} has a new password",
    "account.rehashed": "The password of {name} is stored by newer rules",
    "alert.acknowledged": "Alert seen to by {by}: {title}",
    "alert.fired": "Alert ({severity}): {title}",
    "alert.resolved": "Alert over: {title}",
    "alert-mute.added": "Alerts were muted: {reason}",
    "alert-mute.removed": "Alerts are not muted any more",
    "attestation.accepted": "Node {node} showed what it runs",
    "block.added": "{network}{net} may not use the API: {reason}",
    "block.removed": "{network}{net} may use the API again",
    "ca.created": "The certificate authority of {mesh} was made",
    "ca.renewed": "The certificate authority of {mesh} signs with a new intermediate",
    "ca.retired": "A root of {mesh} is not trusted any more",
    "ca.rotated": "The certificate authority of {mesh} has a new root",
    "credential.added": "An API token was made for {contributor}",
    "credential.revoked": "An API token of {contributor} was revoked",
    "device.allowed": "{account} let a device in: {client}",
    "device.refused": "{account} refused a device: {client}",
    "do_not_scan.added": "{network}{net} is never scanned",
    "do_not_scan.approved": "A request not to scan {network}{net} was approved",
    "do_not_scan.rejected": "A request not to scan {network}{net} was rejected",
    "do_not_scan.removed": "{network}{net} may be scanned again",
    "factor.added": "{account} has a new second factor: {name}",
    "factor.removed": "A second factor of {account} was removed: {name}",
    "insight.reopened": "An insight is open again",
    "insight.resolved": "An insight was resolved: {resolution}",
    "insights.kept": "Agent {agent} concluded something",
    "job.cancelled": "Job cancelled: {what}",
    "job.created": "Job: {what}",
    "job.paused": "Job paused: {what}",
    "job.priority": "Job has another priority: {what}",
    "job.resumed": "Job goes on: {what}",
    "job.retried": "Targets of a job are tried again: {what}",
    "join-token.added": "A machine may join as {role} {name}",
    "join-token.revoked": "A join token was revoked: {name}",
    "join-token.used": "A join token was used: {name}",
    "key.registered": "A key of {contributor} was registered",
    "key.restated": "A key of {contributor} was put on record again",
    "key.retired": "A key of {contributor} was replaced",
    "key.revoked": "A key of {contributor} was revoked",
    "node.certified": "Node {name} has a new certificate",
    "node.enrolled": "Node {name} was enrolled",
    "node.invited": "Node {name} was invited, as {role}",
    "node.joined": "Node {name} joined, as {role}",
    "node.quarantined": "Node {name} was put in quarantine: {reason}",
    "node.released": "Node {name} was released from quarantine",
    "node.removed": "Node {name} was removed",
    "node.revoked": "Node {name} was revoked: {reason}",
    "outlet.put": "Outlet {name} was set",
    "outlet.removed": "Outlet {name} was removed",
    "outlet.tested": "Outlet {name} was tried",
    "recovery.made": "{account} has new recovery codes",
    "recovery.removed": "{account} has no recovery codes left",
    "recovery.used": "{account} signed in by a recovery code; {left} are left",
    "report.asked": "A report was asked for: {kind} {target}",
    "report.finished": "A report was finished by hand: {kind} {target}",
    "report.stored": "Report ready: {kind} {target}",
    "result.accepted": "{node} is done with a target: {outcome}",
    "result.late": "{node} answered late",
    "result.rejected": "A result of {node} was not believed",
    "role.defined": "Role {role}{name} was defined",
    "role.removed": "Role {role}{name} was removed",
    "schedule.put": "Schedule {name} was set",
    "schedule.removed": "Schedule {name} was removed",
    "schedule.run": "Schedule {name} runs now",
    "session.begun": "{account} signed in from {source}",
    "session.revoked": "A session of {account} was ended",
    "signin.refused": "Signing in as {account} was refused",
    "tier.granted": "{name} is a Pro contributor",
    "tier.listed": "{name} is on the leaderboard",
    "tier.reset": "The tier of {name} follows from what it brings",
    "tier.unlisted": "{name} is not on the leaderboard",
    "tier.withheld": "{name} is no Pro contributor",
    "token-key.added": "Access tokens are signed with a new key",
    "token-key.revoked": "A key of access tokens was revoked",
    "finding.untriaged": "Triage of {cve} taken back",
    "vex.imported": "A VEX document was read",
    "work.paused": "No scans are handed out: {reason}",
    "work.resumed": "Scans are handed out again",
    "worker.drained": "{node} gets no new scans",
    "worker.undrained": "{node} gets scans again",
    "ai-egress": "A request went to the language model {provider}",
}

_PATHS: Final[Mapping[str, str]] = {
    "account": "/accounts",
    "alert": "/alerts/{id}",
    "alert-mute": "/alerts/mutes",
    "alert-rule": "/alerts/rules",
    "block": "/exclusions",
    "ca": "/nodes",
    "do_not_scan": "/exclusions",
    "feed": "/feeds",
    "insights": "/insights",
    "join-token": "/nodes",
    "outlet": "/outlets",
    "result": "/jobs/{job}",
    "role": "/accounts",
    "schedule": "/schedules",
    "node": "/nodes/{name}",
    "attestation": "/nodes/{node}",
    "worker": "/nodes/{node}",
    "work": "/jobs",
}
_COUNTED: Final = (
    ("hosts", "host", "hosts"),
    ("endpoints", "endpoint", "endpoints"),
    ("hostnames", "name", "names"),
    ("silent", "silent network", "silent networks"),
)
_MADE_UP: Final = re.compile("[0-9a-f-]{32,}")  # an id that nobody chose
_BY_ID: Final = ("insight", "job", "observation", "report")
# Who did it is told by the first of these that an entry has.
_BY: Final = ("removed_by", "decided_by", "by", "added_by", "created_by", "account", "contributor")


class _Blank(dict[str, str]):
    """What an entry does not say is nothing."""

    def __missing__(self, key: str) -> str:
        return ""


def told(kind: str, subject: str, detail: Mapping[str, Any], about: Submission = NOBODY) -> Told:
    """An entry in words. All of `detail` may be what strangers wrote: it is plain text, on one line."""
    title = _titled(kind, subject, detail, about)
    return Told(_line(title), _path(kind, subject, detail), _account(kind, detail, about))


def _titled(kind: str, subject: str, detail: Mapping[str, Any], about: Submission) -> str:
    noun, _, verb = kind.partition(".")
    match noun:
        case "observation":
            return _submission(verb, detail, about)
        case "finding" if verb == "triaged":
            return _triage(detail)
        case "feed":
            return f"Feed {_text(detail, 'name') or subject}: {verb}{_after(' ', _text(detail, 'version'))}"
        case _:
            pass
    if kind in TITLES:
        return TITLES[kind].format_map(_Blank({key: _text(detail, key) for key in detail})).strip(" :,")
    name = _text(detail, "name") or _text(detail, "title") or subject
    return f"{noun.replace('_', ' ').replace('-', ' ').capitalize()} {name}: {verb.replace('_', ' ')}".strip(" :")


def _submission(verb: str, detail: Mapping[str, Any], about: Submission) -> str:
    whose = _after(" by ", about.contributor)
    scan = _after(" ", "" if _MADE_UP.fullmatch(about.scan_id) else about.scan_id)
    if verb == "accepted":
        return f"Scan{scan}{whose} was accepted"
    if detail.get("status") == "failed":
        return f"Scan{scan}{whose} could not be read: {_text(detail, 'error')}"
    counts: Any = detail.get("counts")
    numbers = [
        f"{number} {word if number == 1 else words}"
        for key, word, words in _COUNTED
        if isinstance(counts, dict) and isinstance(number := cast("dict[str, Any]", counts).get(key), int) and number
    ]
    form = _text(detail, "format")
    return f"Scan{scan}{whose} merged: {', '.join(numbers) or 'nothing in it'}{f' ({form})' if form else ''}"


def _triage(detail: Mapping[str, Any]) -> str:
    where = _text(detail, "ip")
    where += f":{_text(detail, 'port')}" if where and _text(detail, "port") else ""
    status = _text(detail, "status").replace("_", " ")
    return f"{_text(detail, 'cve')} {f'on {where} ' if where else ''}is {status}"


def _path(kind: str, subject: str, detail: Mapping[str, Any]) -> str:
    noun = kind.partition(".")[0]
    if noun in _BY_ID:
        return f"/{noun}s/{quote(subject.removeprefix(f'{noun}:'), safe='')}"
    if noun == "finding":
        ip, cve = _text(detail, "ip"), _text(detail, "cve")
        return f"/hosts/{quote(ip, safe=':.')}" if ip else f"/vulns/{quote(cve, safe='')}" if cve else ""
    found = _PATHS.get(noun, "")
    filled = found.format_map(
        _Blank({key: quote(_text(detail, key), safe="") for key in ("id", "name", "node", "job")})
    )
    return filled.rstrip("/")


def _account(kind: str, detail: Mapping[str, Any], about: Submission) -> str:
    if topic_of(kind) == "observation":
        return about.contributor
    if kind == "session.begun":  # `by` is the grant
        return _text(detail, "account")
    if kind.startswith("result."):
        return _text(detail, "node")
    return next((name for key in _BY if (name := _text(detail, key))), "")


def _text(detail: Mapping[str, Any], key: str) -> str:
    value = detail.get(key)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _after(what: str, text: str) -> str:
    return f"{what}{text}" if text else ""


def _line(text: str) -> str:
    """`text` on one line of printable characters, cut."""
    plain = "".join(c if c.isprintable() else " " for c in text[: 2 * MAX_TITLE])
    return plain if len(plain) <= MAX_TITLE else f"{plain[: MAX_TITLE - 1]}…"
