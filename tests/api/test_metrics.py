"""Metrics: counted by things of which there are few, and by nothing that names anybody."""

from __future__ import annotations

import pytest

from spectra.api.metrics import Metrics
from spectra.flow.membership import EarState
from tests.api.node import Node, raw_answer, raw_connection
from tests.support import samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


def test_two_apps_do_not_mix() -> None:
    """Each app counts for itself, also in one process."""
    one, two = Metrics(), Metrics()
    one.hosts.inc(3)
    assert b"spectra_ingested_hosts_total 3.0" in one.text()
    assert b"spectra_ingested_hosts_total 0.0" in two.text()


def test_requests_are_counted_by_route_not_by_path(node: Node) -> None:
    """A million hosts are one label."""
    line = 'spectra_http_requests_total{method="GET",route="/v0/host/{ip}",status="404"}'
    before = node.metric(line)
    for ip in ("192.0.2.200", "192.0.2.201"):
        node.get(f"/v0/host/{ip}")
    eventually(lambda: node.metric(line) == before + 2)
    assert "192.0.2.20" not in node.ask("GET", "/metrics", "").text


def test_unknown_paths_are_one_label(node: Node) -> None:
    """A stranger cannot grow the metrics by asking for what is not there."""
    line = 'spectra_http_requests_total{method="GET",route="unmatched",status="404"}'
    before = node.metric(line)
    for path in ("/a1", "/a2"):
        node.get(path)
    eventually(lambda: node.metric(line) == before + 2)
    assert "/a1" not in node.ask("GET", "/metrics", "").text


def test_odd_methods_are_one_label(node: Node) -> None:
    """The same for words that pass for a method."""
    for method in ("PROPFIND", "MKCOL"):
        with raw_connection(node.url) as connection:
            connection.sendall(f"{method} /v0/search HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert raw_answer(connection)[0] == 405
    line = 'spectra_http_requests_total{method="other",route="/v0/search",status="405"}'
    eventually(lambda: node.metric(line) == 2)
    assert "MKCOL" not in node.ask("GET", "/metrics", "").text


def test_submissions_and_what_they_brought(node: Node) -> None:
    """Let in, refused, again: each counted once, hosts only when they were merged."""
    refused = 'spectra_gate_rejections_total{reason="unknown_key"}'
    merged = 'spectra_submissions_total{path="fast",status="merged"}'
    again = 'spectra_submissions_total{path="fast",status="duplicate"}'
    counters = (refused, merged, again, "spectra_ingested_hosts_total", "spectra_ingested_endpoints_total")
    before = [node.metric(line) for line in counters]
    account = node.of("contributor")
    envelope = account.seal(samples.nmap(*(samples.nmap_host(samples.address(), 22, 80) for _ in range(2))))
    stranger = samples.sealed(samples.SigningKey.generate(), "x", b"y")
    for body in (envelope, envelope, stranger):
        node.submit(body)
    after = [node.metric(line) for line in counters]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1, 2, 4]


def test_the_exposition_has_its_media_type(node: Node) -> None:
    """Prometheus text 0.0.4, with the restarts of the database."""
    response = node.ask("GET", "/metrics", "")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "spectra_database_restarts 0.0" in response.text
    assert "# TYPE spectra_http_request_seconds histogram" in response.text


def test_metrics_name_nobody(node: Node) -> None:
    """Contributors and keys stay out: the page is public."""
    account = node.of("contributor")
    node.submitted(samples.scan_of(samples.address(), 80))
    text = node.ask("GET", "/metrics", "").text
    assert account.name not in text
    assert account.key.public.keyid not in text


def test_requests_to_models_are_shown() -> None:
    """By provider and what came of them; nothing before there was any."""
    metrics = Metrics()
    assert "# TYPE spectra_ai_requests_total counter" in metrics.text().decode()
    metrics.models({("local", "answered"): 1})
    for _ in range(2):
        metrics.models({("local", "answered"): 2, ("", "ai_no_provider"): 1})
    text = metrics.text().decode()
    assert 'spectra_ai_requests_total{outcome="answered",provider="local"} 2.0' in text
    assert 'spectra_ai_requests_total{outcome="ai_no_provider",provider=""} 1.0' in text


def test_what_is_heard_of_nodes_is_shown() -> None:
    """How many are what, and why nobody is declared dead at the moment; never which nodes."""
    metrics = Metrics()
    metrics.hear(EarState(False, "deaf", {"alive": 3, "dead": 1}, heard=9, dropped=0, pending=2))
    text = metrics.text().decode()
    assert 'spectra_nodes{presence="alive"} 3.0' in text
    assert 'spectra_nodes{presence="suspect"} 0.0' in text
    assert 'spectra_presence_held{why="deaf"} 1.0' in text
    assert "spectra_presence_pending 2.0" in text
    metrics.hear(EarState(True, "", {"alive": 4}, heard=12, dropped=0, pending=0))
    text = metrics.text().decode()
    assert 'spectra_nodes{presence="dead"} 0.0' in text
    assert 'spectra_presence_held{why="deaf"} 0.0' in text
    assert 'why=""' not in text
