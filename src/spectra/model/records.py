"""What the store answers with, and the API and the command line print. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from spectra.model.envelope import Counts, Problem
from spectra.model.facets import Facet, Total
from spectra.model.facts import Place
from spectra.model.findingrecords import FindingRecord
from spectra.model.observation import Certificate, Evidence, Service
from spectra.model.work import ArtefactRecord


class EvidenceRecord(Evidence, frozen=True, omit_defaults=True, kw_only=True):
    """A piece of evidence with the time it was first and last told."""

    first_seen: datetime
    last_seen: datetime


class VersionRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stretch of an endpoint's life in which nothing about it changed.

    True from `since` (the first observation of it) until `until` (the first observation of something else, exclusive;
    None while it lasts); `confirmed` is the last observation of it. `cpe23` are the CPE 2.3 names that follow from all
    that is known of the service. `trust` (0..1) is that of the most trusted who saw it; `sole` is the only contributor
    who did, if that one is not trusted, and `doubt` an untrusted one who contradicts it.
    """

    state: str
    since: datetime
    confirmed: datetime
    until: datetime | None = None
    service: Service | None = None
    certificate: Certificate | None = None
    banner: str = ""
    title: str = ""
    cpe23: tuple[str, ...] = ()
    trust: float = 1.0
    sole: str = ""
    doubt: str = ""


class EndpointRecord(VersionRecord, frozen=True, omit_defaults=True, kw_only=True):
    """An endpoint (ip, port, protocol) in the version asked for, with its past where that was asked for.

    `stale_at` is when an open one is due to be looked at again, by the lifetime of its service.
    """

    port: int
    protocol: str
    first_seen: datetime
    last_seen: datetime
    stale_at: datetime | None = None
    evidence: tuple[EvidenceRecord, ...] = ()
    history: tuple[VersionRecord, ...] | None = None


class HostnameRecord(msgspec.Struct, frozen=True):
    """A name of a host; `kind` as in `observation.Hostname`."""

    name: str
    kind: str
    first_seen: datetime
    last_seen: datetime


class SightingRecord(msgspec.Struct, frozen=True):
    """One observation of a host: who saw it, with what, when, and how far they are trusted (0..1)."""

    observation_id: str
    seen_at: datetime
    tool: str
    scan_id: str
    scan_type: str
    contributor: str
    trust: float
    endpoints: int


class FeedsUsed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a place rests on: the number of the feed set, and the version of each of its feeds by name."""

    feed_set: int
    versions: dict[str, str] = {}


class HostRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The full graph of one host. `status` is `up`, or `down` when the newest probe went unanswered (`down_since`).

    `place` is where the host is by the newest feeds it was looked up in (`feeds`), also where a past moment is asked
    for; both are left out where no feed was ever asked. `findings` are the open ones, most urgent first, at most 1,000
    of `findings_total`; triage settled `findings_settled` more. With history, closed ones follow. `findings_hidden`:
    the caller is Free, or may not read findings, and is told none. `artefacts` are the newest files that machines sent
    of scans which saw it, where the caller may read jobs; `artefacts_more`: there are others.
    """

    ip: str
    first_seen: datetime
    last_seen: datetime
    status: Literal["up", "down"]
    at: datetime | None = None
    down_since: datetime | None = None
    os: str = ""
    mac: str = ""
    vendor: str = ""
    hostnames: tuple[HostnameRecord, ...] = ()
    endpoints: tuple[EndpointRecord, ...] = ()
    evidence: tuple[EvidenceRecord, ...] = ()
    sightings: tuple[SightingRecord, ...] = ()
    place: Place | None = None
    feeds: FeedsUsed | None = None
    findings: tuple[FindingRecord, ...] = ()
    findings_total: int = 0
    findings_settled: int = 0
    findings_hidden: bool = False
    artefacts: tuple[ArtefactRecord, ...] = ()
    artefacts_more: bool = False


class NameRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A hostname, the addresses it was seen at, and what was said about the name itself."""

    name: str
    first_seen: datetime
    last_seen: datetime
    addresses: tuple[str, ...] = ()
    evidence: tuple[EvidenceRecord, ...] = ()


class Match(msgspec.Struct, frozen=True, omit_defaults=True):
    """One endpoint that a search found, as it is now. `banner` is cut to 200 characters.

    `cpe` are the names that the tool gave, `cpe23` all that follow; `sole` as in `VersionRecord`. `findings` is how
    many weaknesses of what runs there are not settled, `worst` the highest severity among them.
    """

    ip: str
    port: int
    protocol: str
    state: str
    first_seen: datetime
    last_seen: datetime
    service: str = ""
    product: str = ""
    version: str = ""
    extra: str = ""
    tunnel: str = ""
    title: str = ""
    banner: str = ""
    certificate_cn: str = ""
    hostnames: tuple[str, ...] = ()
    os: str = ""
    device: str = ""
    cpe: tuple[str, ...] = ()
    cpe23: tuple[str, ...] = ()
    sole: str = ""
    place: Place | None = None
    findings: int = 0
    worst: str = ""


class SearchPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of matches; `next_cursor` is opaque and empty on the last page.

    `total` and `facets`, where they were asked for, are of all matches, and count endpoints. `findings_hidden` as
    in `HostRecord`.
    """

    matches: tuple[Match, ...]
    next_cursor: str = ""
    total: Total | None = None
    facets: dict[str, Facet] | None = None
    findings_hidden: bool = False


class ObservationRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An accepted submission as stored, with what was kept of it and what was not."""

    observation_id: str
    status: str
    received: datetime
    tool: str
    tool_version: str
    scan_id: str
    scan_type: str
    contributor: str
    keyid: str
    trust: float
    privacy: str
    source: str
    format: str
    output_sha256: str
    output_size: int
    blob_sha256: str
    started: datetime | None = None
    finished: datetime | None = None
    counts: Counts = Counts()
    problems: tuple[Problem, ...] = ()
    workflow_id: str = ""
    error: str = ""


class KeyRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A contributor's public key. `status`: `active`, `retiring` (valid until `expires`), `revoked`, or `disabled` as
    its contributor is. `scopes` are those of a custom role, empty for a built-in one.
    """

    keyid: str
    contributor: str
    role: str
    public_key: str  # base64 of the raw 32 bytes
    status: Literal["active", "retiring", "revoked", "disabled"]
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    comment: str = ""
    scopes: tuple[str, ...] = ()


class WorkflowStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """One finished step of a workflow."""

    name: str
    error: str = ""


class WorkflowRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A durable workflow. `status`: `pending`, `running`, `done` or `failed`. `done` of `total` hosts are through with
    one that goes over all of them.
    """

    workflow_id: str
    name: str
    status: Literal["pending", "running", "done", "failed"]
    created: datetime
    updated: datetime
    observation_id: str = ""
    steps: tuple[WorkflowStep, ...] = ()
    error: str = ""
    done: int = 0
    total: int = 0


class ChainReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of walking the provenance chain. `broken_seq` names the first entry that does not hold."""

    ok: bool
    entries: int
    observations: int
    blobs: int
    head: str
    deep: bool = False
    broken_seq: int | None = None
    broken_observation: str = ""
    reason: str = ""
