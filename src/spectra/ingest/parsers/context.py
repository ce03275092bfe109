"""What a parser is told beside the bytes, and the last check before a record leaves."""

from __future__ import annotations

from datetime import datetime

import msgspec

from spectra.model.envelope import Privacy
from spectra.model.observation import EndpointSeen, Evidence, HostSeen, NameSeen, Record


class Context(msgspec.Struct, frozen=True):
    """`default_time` (aware, UTC) dates records without a time of their own; `privacy` bounds what may leave."""

    default_time: datetime
    privacy: Privacy


# Evidence that is a finding by its kind and severity alone; all other evidence is what a service said.
_FINDINGS = ("nuclei:", "bbot:FINDING", "bbot:VULNERABILITY")


def meta_only(record: Record) -> Record:
    """`record` without what a service said: no banner, no title, no script output, no query of a URL."""
    if isinstance(record, HostSeen):
        return msgspec.structs.replace(
            record,
            endpoints=tuple(_bare_endpoint(endpoint) for endpoint in record.endpoints),
            evidence=_bare_evidence(record.evidence),
        )
    if isinstance(record, NameSeen):
        return msgspec.structs.replace(record, evidence=_bare_evidence(record.evidence))
    return record


def _bare_endpoint(seen: EndpointSeen) -> EndpointSeen:
    if seen.banner is None and not seen.evidence:
        return seen
    return msgspec.structs.replace(seen, banner=None, evidence=_bare_evidence(seen.evidence))


def _bare_evidence(evidence: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(kind=item.kind, data="", key=_place(item.key), severity=item.severity)
        for item in evidence
        if item.kind.startswith(_FINDINGS)
    )


def _place(key: str) -> str:
    """The URL or host and port that a key begins with, without query or fragment; other words may be the service's."""
    word = key.partition(" ")[0]
    return word.partition("?")[0].partition("#")[0] if ":" in word else ""
