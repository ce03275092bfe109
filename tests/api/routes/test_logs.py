"""The node's own log, for admins: by level, text and time, page by page."""

from __future__ import annotations

import logging

import pytest

from spectra.logring import Ring
from tests.api.node import Node, is_problem

pytestmark = pytest.mark.engine


def test_the_log_is_looked_up(node: Node) -> None:
    """Newest first; nobody but an admin."""
    ring, logger = Ring(), logging.Logger("spectra.test")
    logger.addHandler(ring)
    for number in range(4):
        logger.info("line %d", number, extra={"host.ip": f"192.0.2.{number}"})
    logger.error("broken")
    with node.variant(log=ring.newest) as one:
        first = one.get("/v0/logs", limit=2).json()
        assert [record["message"] for record in first["records"]] == ["broken", "line 3"]
        second = one.get("/v0/logs", limit=9, before=first["next_cursor"]).json()
        assert [record["message"] for record in second["records"]] == ["line 2", "line 1", "line 0"]
        assert "next_cursor" not in second
        assert [record["level"] for record in one.get("/v0/logs", level="warning").json()["records"]] == ["error"]
        found = one.get("/v0/logs", q="192.0.2.2", since="1h").json()["records"]
        assert [record["message"] for record in found] == ["line 2"]
        is_problem(one.get("/v0/logs", "user"), 403, "forbidden")
        is_problem(one.get("/v0/logs", since="soon"), 400, "bad_request")
