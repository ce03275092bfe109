"""Agents run: each reads what it needs, its detector concludes, a model may add words, and the gate takes it in.

A run is one call, bounded in what it reads: a durable workflow would bring nothing, as running it again gives the same
insights by the same ids.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from spectra.ai.agents import config_advisor, cve_triage, dns_guard, history, threat_analyst, traffic
from spectra.ai.agents.checks import Estate
from spectra.ai.agents.history import Look, Scan
from spectra.ai.agents.notes import Asks, annotate
from spectra.ai.agents.threat_analyst import Knowledge, Opened
from spectra.errors import BadRequest, NotFound, Unavailable
from spectra.flow.insights import Insights
from spectra.flow.judging import JUDGE
from spectra.model import query as queries
from spectra.model.agents import AGENTS_HERE, AgentRun
from spectra.model.envelope import sha256_hex
from spectra.model.findingrecords import FindingRecord
from spectra.model.insights import MAX_INSIGHTS, SEVERITIES, Agent, Insight
from spectra.store import agentfacts
from spectra.store.database import Database
from spectra.store.findingask import Filters
from spectra.store.findinglist import findings

HISTORY: Final = timedelta(days=30)
"""How far back Network Anomaly looks."""
MAX_FINDINGS: Final = 5000
"""Open findings that CVE Triage reads, the most urgent."""
AT_ONCE: Final = 2
"""Runs at once: each may hold a log of 32 MB and what was read of it."""
_MAX_CVES: Final = 50  # of alerts that findings are looked for


class _Found(NamedTuple):
    """What a detector concluded, and what it had read."""

    insights: Sequence[Insight]
    format: str = ""
    lines: int = 0
    skipped: int = 0
    more: int = 0


class Agents:
    """Runs agents. Thread-safe; blocks on the database and, for notes, on a model.

    `providers` tells which providers of models are opted in to, and where each works.
    """

    def __init__(
        self,
        database: Database,
        insights: Insights,
        *,
        gateway: Asks | None,
        clock: Callable[[], datetime],
        providers: Mapping[str, str],
        deadline_s: float = 30.0,
    ) -> None:
        self._database = database
        self._insights = insights
        self._gateway = gateway
        self._clock = clock
        self._providers = dict(providers)
        self._deadline_s = deadline_s
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._runs: Mapping[Agent, Callable[[bytes, Sequence[str]], _Found]] = {
            "threat-analyst": self._threat_analyst,
            "dns-guard": self._dns_guard,
            "cve-triage": self._cve_triage,
            "network-anomaly": self._network_anomaly,
            "config-advisor": self._config_advisor,
        }

    @property
    def notes(self) -> bool:
        """Whether a model may add words."""
        return self._gateway is not None

    def run(
        self, agent: str, raw: bytes, *, account: str, note: bool = True, checklists: Sequence[str] = ()
    ) -> AgentRun:
        """Let an agent look at `raw` (alerts, a log; empty: the store) and keep what it concludes.

        Without `note` no model is asked. Raises `NotFound("unknown_agent")`, and `BadRequest` naming `body` or
        `checklists`; `Unavailable("agents_busy")` where others run already. The most grave insights are kept where
        there are more than a statement holds.
        """
        begun = time.monotonic()
        known = next((one for one in AGENTS_HERE if one.name == agent), None)
        if known is None:
            names = ", ".join(one.name for one in AGENTS_HERE)
            raise NotFound(f"There is no agent {agent[:40]!r}.", reason="unknown_agent", hint=f"There are {names}.")
        if known.input == "needed" and not raw.strip():
            raise BadRequest(f"{agent} reads {known.reads}.", field="body", hint=f"`spectra agents run {agent} FILE`")
        if known.input == "none" and raw.strip():
            raise BadRequest(f"{agent} reads the store alone.", field="body", hint="Leave the file out.")
        if not self._places.acquire(blocking=False):
            raise Unavailable("Other agents run just now.", reason="agents_busy", hint="Try again in a few seconds.")
        try:
            found = self._runs[known.name](raw, checklists)
        finally:
            self._places.release()
        return self._kept(known.name, raw, found, begun, account if note else None)

    def _kept(self, agent: Agent, raw: bytes, found: _Found, begun: float, account: str | None) -> AgentRun:
        """Have a model add words for `account` (None: ask none), and what is concluded kept."""
        told = sorted(found.insights, key=lambda one: (SEVERITIES.index(one.severity), -one.score, one.id))
        more = found.more + max(0, len(told) - MAX_INSIGHTS)
        noted, why = tuple(told[:MAX_INSIGHTS]), ""
        if account is not None:
            noted, why = annotate(self._gateway, noted, account=account, deadline_s=self._deadline_s)
        kept = self._insights.keep(agent, noted, read=sha256_hex(raw) if raw.strip() else "")
        return AgentRun(
            agent=agent,
            statement=kept.statement,
            insights=kept.insights,
            new=len(kept.new),
            again=len(kept.again),
            reopened=len(kept.reopened),
            left_out=more,
            format=found.format,
            lines=found.lines,
            skipped=found.skipped,
            notes=sum(bool(one.note) for one in noted),
            no_notes=why,
            ms=int((time.monotonic() - begun) * 1000),
        )

    def _threat_analyst(self, raw: bytes, checklists: Sequence[str]) -> _Found:
        knows = Knowledge(partial(agentfacts.hosts_among, self._database), self._opened)
        found, log = threat_analyst.run(raw, self._clock(), knows)
        return _Found(found, log.format, log.lines, log.skipped)

    def _dns_guard(self, raw: bytes, checklists: Sequence[str]) -> _Found:
        found, log = dns_guard.run(raw, self._clock())
        return _Found(found, log.format, log.lines, log.skipped)

    def _cve_triage(self, raw: bytes, checklists: Sequence[str]) -> _Found:
        read, whole = self._open_findings(Filters(), MAX_FINDINGS)
        return _Found(cve_triage.run(read, self._clock(), all_read=whole), "findings", len(read))

    def _network_anomaly(self, raw: bytes, checklists: Sequence[str]) -> _Found:
        now = self._clock()
        if raw.strip():
            found, log = traffic.run(raw, now)
            return _Found(found, log.format, log.lines, log.skipped)
        seen = agentfacts.seen(self._database, now - HISTORY, now)
        scans: dict[str, Scan] = {}
        looks = [
            Look(one.ip, one.at, scans.setdefault(one.scan, Scan(one.scan, one.swept)), one.ports is not None,
                 one.ports or frozenset(), one.mac)
            for one in seen
        ]  # fmt: skip
        return _Found(history.run(looks, now), "scan history", len(looks))

    def _config_advisor(self, raw: bytes, checklists: Sequence[str]) -> _Found:
        now = self._clock()
        read, _ = self._open_findings(Filters(), MAX_FINDINGS)
        estate = Estate(agentfacts.posture(self._database, now), read, self._providers, now)
        return _Found(config_advisor.run(estate, checklists or config_advisor.NAMES), "store", len(read))

    def _opened(self, cves: Sequence[str]) -> Sequence[Opened]:
        """Open findings of these CVEs."""
        if not cves:
            return ()
        wanted = queries.parse("", self._clock(), {"vuln": ",".join(cves[:_MAX_CVES])})
        read, _ = self._open_findings(Filters(query=wanted), 1000)
        return [Opened(one.id, one.ip, one.cve, one.kev is not None) for one in read]

    def _open_findings(self, filters: Filters, most: int) -> tuple[list[FindingRecord], bool]:
        """The most urgent open findings, at most `most`; and whether those are all."""
        read: list[FindingRecord] = []
        cursor = ""
        while len(read) < most:
            page = findings(
                self._database, filters, JUDGE, self._clock(), cursor=cursor, limit=min(1000, most - len(read))
            )
            read += page.findings
            if not (cursor := page.next_cursor):
                return read, True
        return read, False
