"""What works with language models in one coordinator, put together from its settings.

Each service has a function here that makes it, a line in `_made`, and a field in `api/services.py`. Without any model
all of them work: they say what the graph alone tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from spectra.ai.enrich.service import Enricher
from spectra.ai.explain.summary import Explainer
from spectra.ai.gateway.gateway import Gateway
from spectra.ai.patterns import loading as patterns
from spectra.ai.reports.reporter import Bounds, Reporter
from spectra.ai.retrieval.context import Sources
from spectra.flow.agents import Agents
from spectra.flow.enriching import enricher_of
from spectra.flow.insights import Insights
from spectra.flow.jobs import Job
from spectra.flow.judging import JUDGE
from spectra.flow.reportflow import ReportJob
from spectra.flow.similar import Similar
from spectra.intel.explain import explain
from spectra.model.lifetimes import Lifetimes
from spectra.settings import Settings, config_dir
from spectra.store.aisweep import Sweeper
from spectra.store.blobs import BlobStore
from spectra.store.database import Database


class Parts(NamedTuple):
    """What those services are made of."""

    settings: Settings
    database: Database
    blobs: BlobStore
    similar: Similar
    lifetimes: Lifetimes
    clock: Callable[[], datetime]


class _Background(Protocol):
    """What works on threads of its own."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Ai:
    """The gateway and all that asks it; `jobs` are its durable workflows, `background` what runs with the node."""

    def __init__(
        self, gateway: Gateway, made: dict[str, Any], jobs: Sequence[Job], background: Sequence[_Background]
    ) -> None:
        self.gateway = gateway
        self.jobs = tuple(jobs)
        self._made = made
        self._background = background
        self._running = ExitStack()

    def services(self) -> dict[str, Any]:
        """Fields of `api.services.Services`."""
        return {"ai": self.gateway, **self._made}

    def start(self) -> None:
        """Begin what runs in the background."""
        self.gateway.warm()
        for one in self._background:
            one.start()
            self._running.callback(one.stop)

    def stop(self) -> None:
        """End it, and every request to a model that is under way."""
        try:
            self.gateway.close()
        finally:
            self._running.close()


def ai_of(parts: Parts) -> Ai:
    """All of it. Quick: nothing is connected to before the first request."""
    gateway = Gateway.from_settings(parts.settings, parts.database, parts.clock)
    made = _made(parts, gateway)
    return Ai(gateway, made, (made["reports"],), [Sweeper(parts.database, parts.clock)])


def _made(parts: Parts, gateway: Gateway) -> dict[str, Any]:
    """Every service by its field in `api.services.Services`."""
    insights = Insights(parts.database, parts.settings.data_dir, clock=parts.clock)
    return {
        "agents": _agents(parts, gateway, insights),
        "insights": insights,
        "enrich": _enricher(parts, gateway, insights),
        "explainer": _explainer(parts, gateway),
        "reports": _reports(parts, gateway),
    }


def _agents(parts: Parts, gateway: Gateway, insights: Insights) -> Agents:
    """Detectors, to which a model may add words."""
    ai = parts.settings.ai
    configured = {name: one for name in ai.order if (one := ai.provider(name)).opt_in and (name != "local" or one.url)}
    return Agents(
        parts.database,
        insights,
        gateway=gateway if configured else None,
        clock=parts.clock,
        providers={name: one.residency for name, one in configured.items()},
        deadline_s=ai.chat_deadline_s / 4,
    )


def _enricher(parts: Parts, gateway: Gateway, keeps: Insights) -> Enricher:
    """What looks CVEs up elsewhere."""
    return enricher_of(parts.settings, parts.database, parts.blobs, gateway, keeps=keeps, clock=parts.clock)


def _explainer(parts: Parts, gateway: Gateway) -> Explainer:
    """Summaries; those that are kept are of the models that are configured now."""
    ai = parts.settings.ai
    models = [(name, one.url, one.model) for name in ai.order if (one := ai.provider(name)).opt_in]
    sources = Sources(parts.database, parts.similar, JUDGE, parts.lifetimes)
    return Explainer(
        gateway,
        sources,
        explain,
        parts.clock,
        deadline_s=ai.summary_deadline_s,
        cache_hours=ai.cache_hours,
        free_text=ai.free_text,
        models=repr(models),
    )


def _reports(parts: Parts, gateway: Gateway) -> ReportJob:
    """Reports, which are durable workflows. Raises `BadPattern` for a pattern of a user's that does not hold."""
    ai = parts.settings.ai
    reporter = Reporter(
        gateway,
        Sources(parts.database, parts.similar, JUDGE, parts.lifetimes),
        blobs=parts.blobs,
        patterns=patterns.load(patterns.places(config_dir(), ai.patterns)),
        rules=explain,
        clock=parts.clock,
        bounds=Bounds(deadline_s=ai.chat_deadline_s, free_text=ai.free_text),
    )
    return ReportJob(reporter)
