"""What is different between two moments or two scans: the answer of `GET /v0/diff`, and what counts as a change.

Pure, and the definition: `store.diff` finds the candidates, `kind_of` and `changes` judge them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

import msgspec

from spectra.model.findingrecords import FindingBrief, FindingChange
from spectra.model.observation import Certificate, Service
from spectra.model.records import VersionRecord

Kind = Literal["new", "gone", "changed"]
OPEN: Final = "open"


class Change(msgspec.Struct, frozen=True):
    """One property that differs; empty: not known, or not there."""

    field: str
    before: str
    after: str


class DiffEntry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One endpoint that is not what it was, and since when (`at`: the first observation of what it is now).

    `new`: open now and not before; `gone`: open before, and found closed, filtered or (between scans) silent since;
    `changed`: open both times, and something else (`changes`). `findings_new` are there now and were not before,
    `findings_closed` the other way round: the riskiest, at most 100 of so many in `_total`.
    """

    kind: Kind
    ip: str
    port: int
    protocol: str
    at: datetime
    before: VersionRecord | None = None
    after: VersionRecord | None = None
    changes: tuple[Change, ...] = ()
    findings_new: tuple[FindingBrief, ...] = ()
    findings_new_total: int = 0
    findings_closed: tuple[FindingBrief, ...] = ()
    findings_closed_total: int = 0


class HostChange(msgspec.Struct, frozen=True):
    """A host that came, answers again or stopped answering, and when that was first seen."""

    kind: Literal["host_new", "host_back", "host_gone"]
    ip: str
    at: datetime


class DiffSummary(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How much is different in all, whatever the page; with `exact` false at least so much.

    `hosts_new` had never been seen at the earlier time, `hosts_back` had been silent then and are up at the later,
    `hosts_gone` were up and did not answer when they were probed last. `one_sided` counts the endpoints open in one
    scan of which the other says nothing: it may not have looked.
    """

    new: int
    gone: int
    changed: int
    hosts_new: int
    hosts_gone: int
    exact: bool
    hosts_back: int = 0
    one_sided: int = 0


class DiffPage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A page of differences. `from` and `to` are the moments (RFC 3339, UTC) or the scan ids that are compared.

    Between moments the newest difference comes first, between scans the lowest address. A page may hold fewer entries
    than asked for, even none: the list ends where `next_cursor` is empty. `hosts` (the first 1,000) and `summary` come
    with the first page, `summary` with every one. So do `findings`, between moments: those that came or went by what
    was told of their CVE, at endpoints that are what they were, riskiest first; the first 1,000 of `findings_total`,
    which is at least so many where not `findings_exact`. `findings_hidden`: the caller is Free, or may not read
    findings, and is told none.
    """

    from_: str = msgspec.field(name="from")
    to: str
    by: Literal["time", "scan"]
    summary: DiffSummary
    hosts: tuple[HostChange, ...] = ()
    entries: tuple[DiffEntry, ...] = ()
    findings: tuple[FindingChange, ...] = ()
    findings_total: int = 0
    findings_exact: bool = True
    findings_hidden: bool = False
    next_cursor: str = ""


def kind_of(before: VersionRecord | None, after: VersionRecord | None) -> Kind | None:
    """What happened between two versions of an endpoint; None: nothing that counts."""
    was, is_ = before is not None and before.state == OPEN, after is not None and after.state == OPEN
    if was != is_:
        return "new" if is_ else "gone"
    return "changed" if was and changes(before, after) else None


def changes(before: VersionRecord | None, after: VersionRecord | None) -> tuple[Change, ...]:
    """The properties in which two versions differ, in the order in which a person asks for them.

    The text of a banner is none of them: dates, counters and ids in it are something else every time.
    """
    if before is None or after is None:
        return ()
    found: list[Change] = []
    for field, value in _PROPERTIES.items():
        was, is_ = value(before), value(after)
        if was != is_:
            found.append(Change(field, was, is_))
    return tuple(found)


def _of_service(value: Callable[[Service], str]) -> Callable[[VersionRecord], str]:
    return lambda version: value(version.service) if version.service else ""


def _of_certificate(value: Callable[[Certificate], str]) -> Callable[[VersionRecord], str]:
    return lambda version: value(version.certificate) if version.certificate else ""


def _until(certificate: Certificate) -> str:
    return certificate.not_after.strftime("%Y-%m-%d") if certificate.not_after else ""


_PROPERTIES: Final[dict[str, Callable[[VersionRecord], str]]] = {
    "service": _of_service(lambda s: s.name),
    "product": _of_service(lambda s: s.product),
    "version": _of_service(lambda s: s.version),
    "extra": _of_service(lambda s: s.extra),
    "os": _of_service(lambda s: s.os),
    "device": _of_service(lambda s: s.device),
    "tunnel": _of_service(lambda s: s.tunnel),
    "cpe": _of_service(lambda s: ", ".join(s.cpe)),
    "title": lambda version: version.title,
    "certificate": _of_certificate(lambda c: c.sha256),
    "certificate.subject": _of_certificate(lambda c: c.subject_cn or c.subject),
    "certificate.issuer": _of_certificate(lambda c: c.issuer),
    "certificate.not_after": _of_certificate(_until),
}
