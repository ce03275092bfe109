"""Counters and histograms of one app, in OpenMetrics text at `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from spectra.flow.membership import EarState
from spectra.mesh.hearing import Hold
from spectra.model.nodes import Presence

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One registry an app, so that two apps in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "spectra_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "spectra_http_request_seconds", "Time to answer.", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self.rejections = Counter(
            "spectra_gate_rejections", "Envelopes the gate refused, by reason.", ["reason"], registry=self.registry
        )
        self.submissions = Counter(
            "spectra_submissions", "Envelopes let in, by path and outcome.", ["path", "status"], registry=self.registry
        )
        self.hosts = Counter("spectra_ingested_hosts", "Host records merged.", registry=self.registry)
        self.endpoints = Counter("spectra_ingested_endpoints", "Endpoint records merged.", registry=self.registry)
        self.restarts = Gauge("spectra_database_restarts", "Embedded PostgreSQL restarts.", registry=self.registry)
        self.nodes = Gauge(
            "spectra_nodes", "Nodes, by what this coordinator hears of them.", ["presence"], registry=self.registry
        )
        self.held = Gauge(
            "spectra_presence_held",
            "1 while no silent node is declared dead, by why: deaf, settling, late, many.",
            ["why"],
            registry=self.registry,
        )
        self.refused_calls = Counter(
            "spectra_ai_refused_calls",
            "Calls of tools that models asked for and were refused.",
            ["tool", "reason"],
            registry=self.registry,
        )
        self.unwritten = Gauge(
            "spectra_presence_pending", "Heartbeats and changes of presence not stored yet.", registry=self.registry
        )
        self._models = _Models()
        self.registry.register(self._models)

    def hear(self, state: EarState) -> None:
        """Show how it stands with hearing nodes."""
        for presence in get_args(Presence):
            self.nodes.labels(presence).set(state.counts.get(presence, 0))
        for why in filter(None, get_args(Hold)):
            self.held.labels(why).set(why == state.hold)
        self.unwritten.set(state.pending)

    def models(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Show what came of requests to language models, by provider (empty: none was asked) and outcome."""
        self._models.counts = counts

    def text(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)


class _Models(Collector):
    """What somebody else has counted."""

    def __init__(self) -> None:
        self.counts: Mapping[tuple[str, str], int] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The one family."""
        words = "Requests to language models, by provider and outcome."
        family = CounterMetricFamily("spectra_ai_requests", words, labels=["provider", "outcome"])
        for (provider, outcome), count in sorted(self.counts.items()):
            family.add_metric([provider, outcome], count)
        yield family
