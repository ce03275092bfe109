"""What pages listen to."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support import samples
from tests.web.site import Site


def test_live_tells_topics_alone(site: Site) -> None:
    """To who is signed in; others are sent to sign in."""
    with site.visit("admin") as client, client.stream("GET", "/live") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        site.node.submitted(samples.scan_of(samples.address(), 22, at=datetime.now(UTC)))
        told = next(line for line in response.iter_lines() if line == "data: observation")
    assert told
    assert site.page("/live", "").status == 303
