"""What is new and how it stands, as much of it as one may read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.api.node import Node
from tests.support import samples

pytestmark = pytest.mark.engine


def test_the_overview_tells_what_one_may_read(node: Node) -> None:
    """New since the last look; parts by scope; seen once all was seen."""
    ip = samples.address()
    node.submitted(samples.scan_of(ip, 80, at=datetime.now(UTC)))
    whole = node.get("/v0/overview", since="1h").json()
    assert whole["changes"]["hosts"]["count"] >= 1
    assert ip in {one["ip"] for one in whole["changes"]["new_hosts"]}
    assert {"findings", "freshness", "machines", "queues", "feeds", "refusals"} <= whole.keys()
    assert not {"machines", "refusals"} & node.get("/v0/overview", "read-only").json().keys()
    looked = node.ask("POST", "/v0/overview/look", "user", params={"done": "true"}).json()["since"]
    assert node.get("/v0/overview", "user").json()["since"] == looked
    seen = node.get("/v0/overview", "user").json()["changes"]
    assert seen["hosts"]["exact"]
    assert ip not in {one["ip"] for one in seen["new_hosts"]}
