"""The facts that a report is made of: tables of all that was found, what fixed rules say of it, and what of it a model
is shown. Collected once: every attempt, and a person who finishes the report, work with the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import msgspec

from spectra.model.ai import Fragment
from spectra.model.explanations import Explanation, Risk
from spectra.model.records import HostRecord
from spectra.model.reports import Fact, Tables
from spectra.model.summaries import CitedRecord, Target

Rules = Callable[[HostRecord, datetime], Explanation]
"""What the facts of a host amount to by fixed rules, at a moment."""


class Told(msgspec.Struct, frozen=True):
    """What the rules say of one host."""

    ip: str
    summary: str
    risks: tuple[Risk, ...] = ()
    steps: tuple[str, ...] = ()


class Item(msgspec.Struct, frozen=True):
    """One fact as a model is shown it; fields as in `ai.retrieval.context.Item`."""

    ref: str
    record: str
    title: str
    fragment: Fragment


class Facts(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All of it, of one moment. `notes` say what had no room or could not be looked up."""

    target: Target
    question: str = ""
    pattern: str
    at: datetime
    tables: Tables
    told: tuple[Told, ...]
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()

    @property
    def refs(self) -> Mapping[str, str]:
        """The ids of records by the references that a model cites them by."""
        return {item.ref: item.record for item in self.items}

    @property
    def known(self) -> frozenset[str]:
        """Every record that may be cited."""
        return frozenset(title.id for title in self.titled(None))

    @property
    def shown(self) -> tuple[Fact, ...]:
        """What a model is shown, for a person."""
        return tuple(Fact(item.ref, item.record, item.title, item.fragment.text) for item in self.items)

    def titled(self, wanted: Iterable[str] | None) -> tuple[CitedRecord, ...]:
        """Records by title, those `wanted` in their order, or all."""
        titles = {item.record: item.title for item in self.items} | dict(_titles(self))
        if wanted is None:
            return tuple(CitedRecord(record, title) for record, title in titles.items())
        return tuple(CitedRecord(one, titles.get(one, one.partition(":")[2])) for one in dict.fromkeys(wanted))


def _titles(facts: Facts) -> Iterable[tuple[str, str]]:
    tables = facts.tables
    yield facts.target.record, facts.target.value
    for host in tables.hosts:
        yield f"host:{host.ip}", f"{host.ip} ({host.names[0]})" if host.names else host.ip
    for service in tables.services:
        what = " ".join(part for part in (service.product or service.service, service.version) if part)
        yield service.record, f"{service.ip} {service.port}/{service.protocol}{f' ({what})' if what else ''}"
    for name in tables.names:
        yield f"name:{name.name}", name.name
    for certificate in tables.certificates:
        yield f"certificate:{certificate.sha256}", certificate.subject or f"certificate {certificate.sha256[:16]}"
    for finding in tables.findings:
        yield f"finding:{finding.id}", f"{finding.cve} at {finding.ip} {finding.port}/{finding.protocol}"
        yield f"cve:{finding.cve}", finding.cve


def encoded(facts: Facts) -> bytes:
    """As they are kept."""
    return msgspec.json.encode(facts)


def decoded(data: bytes) -> Facts:
    """What `encoded` made."""
    return msgspec.json.decode(data, type=Facts)
