"""A host at two moments: what came, what went, and what is something else."""

from __future__ import annotations

from typing import NamedTuple

from spectra.model.diffs import Change, Kind, changes, kind_of
from spectra.model.findingrecords import FindingRecord
from spectra.model.records import EndpointRecord, HostRecord


class Difference(NamedTuple):
    """An endpoint that is not what it was; `changes` where it was open both times."""

    port: int
    protocol: str
    kind: Kind
    before: EndpointRecord | None
    after: EndpointRecord | None
    changes: tuple[Change, ...]


class Compared(NamedTuple):
    """Everything that differs. Findings are the open ones, of either moment at most so many as a host carries."""

    endpoints: tuple[Difference, ...]
    same: int
    facts: tuple[Change, ...]
    names_new: tuple[str, ...]
    names_gone: tuple[str, ...]
    findings_new: tuple[FindingRecord, ...]
    findings_gone: tuple[FindingRecord, ...]


def compared(before: HostRecord | None, after: HostRecord | None) -> Compared:
    """What is different between two records of one host; None: it had not been seen by then."""
    was, is_ = _endpoints(before), _endpoints(after)
    found = [_difference(*key, was.get(key), is_.get(key)) for key in sorted(was.keys() | is_.keys())]
    told = tuple(one for one in found if one is not None)
    names_were, names_are = _names(before), _names(after)
    flaws_were, flaws_are = _flaws(before), _flaws(after)
    return Compared(
        endpoints=told,
        same=sum(_is_open(was.get(key)) and _is_open(one) for key, one in is_.items())
        - sum(one.kind == "changed" for one in told),
        facts=_facts(before, after),
        names_new=tuple(sorted(names_are - names_were)),
        names_gone=tuple(sorted(names_were - names_are)),
        findings_new=tuple(flaw for key, flaw in flaws_are.items() if key not in flaws_were),
        findings_gone=tuple(flaw for key, flaw in flaws_were.items() if key not in flaws_are),
    )


def _difference(
    port: int, protocol: str, before: EndpointRecord | None, after: EndpointRecord | None
) -> Difference | None:
    kind = kind_of(before, after)
    if kind is None:
        return None
    return Difference(port, protocol, kind, before, after, changes(before, after) if kind == "changed" else ())


def _endpoints(record: HostRecord | None) -> dict[tuple[int, str], EndpointRecord]:
    return {(one.port, one.protocol): one for one in record.endpoints} if record else {}


def _is_open(one: EndpointRecord | None) -> bool:
    return one is not None and one.state == "open"


def _names(record: HostRecord | None) -> set[str]:
    return {one.name for one in record.hostnames} if record else set()


def _flaws(record: HostRecord | None) -> dict[str, FindingRecord]:
    return {one.id: one for one in record.findings if one.state != "closed"} if record else {}


def _facts(before: HostRecord | None, after: HostRecord | None) -> tuple[Change, ...]:
    if before is None or after is None:
        return ()
    pairs = (
        ("status", before.status, after.status),
        ("operating system", before.os, after.os),
        ("hardware address", before.mac, after.mac),
    )
    return tuple(Change(name, was, is_) for name, was, is_ in pairs if was != is_)
