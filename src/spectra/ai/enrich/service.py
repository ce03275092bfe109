"""The enrichment agent: looks up the CVEs of a host or one CVE, concludes by rules, and lets a model add a note.

What it brings back is not trusted: pages are stored as they came, and what is made of them enters by the gate, signed,
with its sources. With no model it does the same without the note.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from spectra.ai.enrich import asking, concluding
from spectra.ai.enrich.asking import Agent, Asks
from spectra.ai.enrich.fetching import Fetcher, Page
from spectra.ai.enrich.lookups import Lookups, Place, Told
from spectra.ai.enrich.pages import set_apart
from spectra.ai.enrich.toolbox import Toolbox, words
from spectra.ai.gateway.errors import NoModel, RefusedByModel
from spectra.errors import BadRequest, NotFound, Unavailable
from spectra.model.ai import Fragment, local
from spectra.model.enrichment import EnrichAsk, Enrichment, RefusedCall
from spectra.model.findingrecords import FindingRecord
from spectra.model.insights import Agent as AgentName
from spectra.model.insights import Insight, Kept
from spectra.model.records import EndpointRecord
from spectra.model.vulnrecords import VulnDetail
from spectra.model.vulns import CVE_ID, VulnRecord
from spectra.store import host as hosts
from spectra.store import vulndetail
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from spectra.store.findings import Judge
from spectra.store.hostfindings import of_host

_log = logging.getLogger("spectra.enrich")

MAX_CVES: Final = 5
"""CVEs of a host that are looked up at once: those of its most urgent findings."""
AT_ONCE: Final = 2
_MAX_LINES: Final = 40
_MAX_LINE: Final = 300


class Keeps(Protocol):
    """Where insights enter: signed, by the gate."""

    def keep(self, agent: AgentName, insights: Sequence[Insight], *, read: str = "") -> Kept:
        """Keep them."""
        ...


class Has(NamedTuple):
    """What the agent works with."""

    database: Database
    blobs: BlobStore
    fetcher: Fetcher
    places: Sequence[Place]
    keeps: Keeps
    judge: Judge
    clock: Callable[[], datetime]


class _Case(NamedTuple):
    """A CVE to look into: what is known of it here, the findings it has, and what their hosts said."""

    cve: str
    known: VulnDetail | None
    findings: tuple[FindingRecord, ...] = ()
    hosts: tuple[Fragment, ...] = ()


class Enricher:
    """Looks things up, for one caller or a few at once. Thread-safe; blocks on the network."""

    def __init__(self, gateway: Asks, has: Has, *, deadline_s: float) -> None:
        self._gateway = gateway
        self._has = has
        self._deadline_s = deadline_s
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._refused: Counter[tuple[str, str]] = Counter()

    def refused(self) -> Mapping[tuple[str, str], int]:
        """Calls of models that were refused so far, by tool and reason."""
        with self._lock:
            return dict(self._refused)

    def enrich(self, ask: EnrichAsk, account: str) -> Enrichment:
        """Look up what is asked, for `account`, and keep what comes of it.

        Raises `BadRequest` for what is neither an address nor a CVE, `NotFound` for a host that is not known,
        `FetchRefused` (`fetch_off`) where nothing may be looked up, `Unavailable` (`busy`) where others are at it.
        """
        self._has.fetcher.require_on()
        cases = self._cases(ask)
        if not self._places.acquire(blocking=False):
            raise Unavailable("Others are looking things up.", reason="busy", hint="Ask again in a moment.")
        try:
            return self._worked(ask, cases, account)
        finally:
            self._places.release()

    def _worked(self, ask: EnrichAsk, cases: Sequence[_Case], account: str) -> Enrichment:
        lookups = Lookups(self._has.fetcher, self._has.places, self._has.blobs, account)
        agent = Agent(self._gateway, account, ends=time.monotonic() + self._deadline_s)
        made: list[Insight] = []
        refused: list[RefusedCall] = []
        why = ""
        for case in cases:
            insights, box, said = self._case(case, lookups, None if why else agent)
            made += insights
            refused += box.refused
            why = why or said
        self._count(refused, account)
        kept = self._has.keeps.keep("enrichment", made)
        return Enrichment(
            kind=ask.kind,
            value=ask.value,
            insights=kept.insights,
            sources=tuple(page.source for page in lookups.pages.values()),
            failed=tuple(lookups.failed.values()),
            refused=tuple(refused),
            by="model" if any(one.note for one in made) else "rules",
            why=why,
        )

    def _case(self, case: _Case, lookups: Lookups, agent: Agent | None) -> tuple[list[Insight], Toolbox, str]:
        """The insights about a CVE, the tools a model had, and why no model added a note."""
        told = [one for kind in ("details", "advisory", "exploits") for one in lookups.about(case.cve, kind)]
        urls = lookups.allowed(_pages(case, told))
        box = Toolbox(lookups, {case.cve}, urls)
        note, why = None, ""
        if agent is not None:
            try:
                note = agent.note(case.cve, _read(told), case.hosts, box, urls)
            except (NoModel, RefusedByModel) as error:
                why = error.reason
            except ValueError as error:  # a model that writes no note; the rules' conclusion stands
                _log.info("a model wrote no note", extra={"error.message": str(error)})
                why = "no_note"
        pages: dict[str, Page] = {one.page.url: one.page for one in told} | box.used
        at = self._has.clock()
        ids = [one.id for one in case.findings]
        insights: list[Insight] = []
        if any(one.says for one in told):  # what an earlier run found out is not replaced by nothing
            one = concluding.concluded(case.cve, told, pages=pages.values(), known=case.known, findings=ids, at=at)
            insights.append(concluding.with_note(one, note) if note else one)
        if box.refused:
            insights.append(concluding.suspicious(case.cve, box.refused, pages.values(), at))
        return insights, box, why

    def _count(self, refused: Sequence[RefusedCall], account: str) -> None:
        if not refused:
            return
        with self._lock:
            self._refused.update((one.tool, one.reason) for one in refused)
        reasons = sorted({one.reason for one in refused})
        _log.warning("a model asked for what it may not have", extra={"spectra.reasons": reasons, "user.name": account})

    # --- what is asked for ---

    def _cases(self, ask: EnrichAsk) -> list[_Case]:
        if ask.kind == "cve":
            cve = ask.value.strip().upper()
            if not CVE_ID.fullmatch(cve):
                raise BadRequest(f"{ask.value!r} is no CVE.", field="value", hint="Write it as CVE-2024-6387.")
            return [_Case(cve, self._known(cve))]
        return self._cases_of(_address(ask.value))

    def _cases_of(self, ip: str) -> list[_Case]:
        has = self._has
        record = hosts.host(has.database, ip)
        by_cve: dict[str, list[FindingRecord]] = {}
        for finding in of_host(has.database, ip, has.judge, has.clock()).findings:
            by_cve.setdefault(finding.cve, []).append(finding)
        said = _host_lines([_line(endpoint) for endpoint in record.endpoints if endpoint.state == "open"])
        return [_Case(cve, self._known(cve), tuple(found), said) for cve, found in list(by_cve.items())[:MAX_CVES]]

    def _known(self, cve: str) -> VulnDetail | None:
        try:
            return vulndetail.detail(self._has.database, cve, with_hosts=False)
        except NotFound:
            return None


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError as error:
        raise BadRequest(f"{text!r} is no address.", field="value", hint="Write an IPv4 or IPv6 address.") from error
    return str(getattr(address, "ipv4_mapped", None) or address)


def _line(endpoint: EndpointRecord) -> str:
    """An endpoint in the words that it chose itself."""
    service, certificate = endpoint.service, endpoint.certificate
    said = [f"{endpoint.port}/{endpoint.protocol}"]
    if service is not None:
        said += [service.name, service.product, service.version]
    said += [endpoint.title, endpoint.banner]
    if certificate is not None:
        said += [certificate.subject or certificate.subject_cn, *certificate.sans[:6]]
    return " | ".join(word for word in said if word)


def _host_lines(lines: Sequence[str]) -> tuple[Fragment, ...]:
    """What a host says of itself: raw data of the network, which a model elsewhere is not told."""
    if not lines:
        return ()
    text = "\n".join(line[:_MAX_LINE].replace("\n", " ") for line in lines[:_MAX_LINES])
    return (local(set_apart(text, "what the host says of itself"), droppable=True),)


def _pages(case: _Case, told: Sequence[Told]) -> list[str]:
    """Pages that records name: this node's own, then those that were looked up."""
    known = case.known.references if case.known else ()
    records = [one.says for one in told if isinstance(one.says, VulnRecord)]
    return [r.url for r in (*known, *(r for record in records for r in record.references))]


def _read(told: Sequence[Told]) -> list[asking.Told]:
    return [
        asking.Told(f"D{number}", f"what {one.place} says", words(one.says) if one.says else "nothing")
        for number, one in enumerate(told, 1)
    ]
