"""The dashboard's benchmark: a small run of all of it, against the real server."""

from __future__ import annotations

import pytest

from spectra.bench import web

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_a_small_run_tells_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are within what they may weigh, alerts arrive, and clients are held; how long it took is not looked at."""
    for name, few in (("_TIMES", 3), ("_ALERTS", 3), ("_LIVE", 10), ("_MOST_PAGES", 5)):
        monkeypatch.setattr(web, name, few)
    said: list[str] = []
    told = web.run(300, batch=100, say=said.append)
    assert (told.hosts, told.sse_clients) == (300, 10)
    assert 0 < told.page_kb_sent_max < told.page_kb_max < 150
    assert min(told.overview_ms_p95, told.search_page_ms_p95, told.host_page_ms_p95, told.alert_latency_ms_p95) > 0
    assert "alerts" in said
