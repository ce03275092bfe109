"""Counters and histograms of one app, in OpenMetrics text at `/metrics`."""

from __future__ import annotations

import threading
from collections import Counter as Counts
from collections.abc import Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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
        self.asked = Counter(
            "spectra_ai_requests",
            "Requests to language models, by provider (empty: none was asked) and what came of them.",
            ["provider", "outcome"],
            registry=self.registry,
        )
        self._told: Counts[tuple[str, str]] = Counts()
        self._telling = threading.Lock()

    def hear(self, state: EarState) -> None:
        """Show how it stands with hearing nodes."""
        for presence in get_args(Presence):
            self.nodes.labels(presence).set(state.counts.get(presence, 0))
        for why in filter(None, get_args(Hold)):
            self.held.labels(why).set(why == state.hold)
        self.unwritten.set(state.pending)

    def models(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Show what came of requests to language models: `counts` are those so far, by provider and outcome."""
        with self._telling:
            for labels, more in (Counts(counts) - self._told).items():
                self.asked.labels(*labels).inc(more)
            self._told |= Counts(counts)

    def text(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)
