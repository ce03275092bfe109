"""Alive, ready, and what the node holds."""

from __future__ import annotations

from datetime import datetime

import pytest

from spectra import __version__
from spectra.store.database import Database, migrate
from tests.api.node import Node, is_problem
from tests.support import samples
from tests.support.own_server import own_server
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


def test_alive_and_ready(node: Node) -> None:
    """Both say ok while all is well, to anyone."""
    for path in ("/health/live", "/health/ready"):
        response = node.ask("GET", path, "")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.fault
def test_not_ready_while_the_database_is_away(node: Node) -> None:
    """503 with `Retry-After`, alive all the same; ready again when it is back."""
    with own_server() as server, Database(server.url, pool_size=2, timeout_s=1.0) as database:
        migrate(database)
        with node.variant(database=database) as other:
            assert other.ask("GET", "/health/ready", "").status_code == 200
            server.kill()
            answers = [other.ask("GET", "/health/ready", "")]
            assert other.ask("GET", "/health/live", "").status_code == 200
            eventually(lambda: answers.append(r := other.ask("GET", "/health/ready", "")) or r.status_code == 200)
            for response in answers:
                if response.status_code != 200:
                    is_problem(response, 503, "database_away")
                    assert response.headers["retry-after"] == "2"


def test_status(node: Node) -> None:
    """Version, database, counts and chain, as the command line prints them."""
    before = node.get("/v0/status").json()
    node.submitted(samples.scan_of(samples.address(), 22, 80))
    status = node.get("/v0/status").json()
    assert status["version"] == __version__
    assert datetime.fromisoformat(status["started"]).tzinfo
    assert status["database"]["kind"] == "server"
    assert status["database"]["version"].startswith("1")
    assert status["database"]["restarts"] == 0
    assert set(status["counts"]) >= {"hosts", "endpoints", "services", "certificates", "observations"}
    assert status["counts"]["hosts"] == before["counts"]["hosts"] + 1
    assert status["counts"]["endpoints"] == before["counts"]["endpoints"] + 2
    length = status["chain"]["entries"]
    assert before["chain"]["entries"] < length
    assert status["chain"]["head"] == node.get(f"/v0/provenance/entries/{length}").json()["entry"]["hash"]


def test_the_document_is_served(node: Node) -> None:
    """To anyone, as JSON; it does not list itself."""
    document = node.ask("GET", "/openapi.json", "").json()
    assert document["openapi"].startswith("3.1")
    assert document["info"]["version"] == __version__
    assert "/openapi.json" not in document["paths"]
