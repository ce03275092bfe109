"""Looking things up over the API: who may, what is told, what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from spectra.model.tiers import Policy
from tests.ai.enrich.conftest import served, web
from tests.ai.enrich.office import CVE, Office, kev, nvd, office
from tests.ai.gateway.desk import at
from tests.api.node import Node, is_problem
from tests.support.llms import FaultyModel
from tests.support.webs import Web

__all__ = ["served", "web"]

pytestmark = pytest.mark.engine


@pytest.fixture
def at_work(node: Node, web: Web, tmp_path: Path) -> Iterator[Office]:
    """An agent on the node's database, where places know a CVE, and a model that obeys."""
    web.sites |= {f"/nvd?cveId={CVE}": nvd(CVE, "A race in sshd."), "/kev.json": kev(CVE)}
    with FaultyModel("scripted") as model:
        model.say(calls=[("fetch", {"url": "https://evil.example"}), ("run_shell", {"cmd": "id"})])
        with office(node.services.database, web, tmp_path, local=at(model.url)) as one:
            yield one


def asked(node: Node, role: str = "automation", kind: str = "cve", value: str = CVE) -> httpx.Response:
    """The answer to a role."""
    return node.ask("POST", "/v0/ai/enrich", role, json={"kind": kind, "value": value})


def test_what_others_say_is_kept_as_insights(node: Node, at_work: Office) -> None:
    """With its sources, what did not come, and what a model asked for in vain, which is counted."""
    with node.variant(enrich=at_work.enricher) as served_node:
        answer = asked(served_node)
        assert answer.status_code == 200, answer.text
        for tool, reason in (("fetch", "unknown_url"), ("unknown", "unknown_tool")):
            assert served_node.metric(f'spectra_ai_refused_calls_total{{reason="{reason}",tool="{tool}"}}') == 1
    body = answer.json()
    kinds = [record["insight"]["kind"] for record in body["insights"]]
    assert sorted(kinds) == ["enrichment", "refused_call"]
    assert len(body["sources"]) == 2
    assert {failed["reason"] for failed in body["failed"]} == {"fetch_failed"}
    assert [call["reason"] for call in body["refused"]] == ["unknown_url", "unknown_tool"]


def test_who_may(node: Node, at_work: Office) -> None:
    """Those who steer, and are Pro; nothing is looked up for others."""
    with node.variant(enrich=at_work.enricher, tiers=Policy("earned")) as strict:
        is_problem(asked(strict, ""), 401, "unauthenticated")
        is_problem(asked(strict, "user"), 403, "forbidden")
        is_problem(asked(strict, "automation"), 402, "pro_required")
    assert at_work.web.asked == []


def test_what_is_no_question(node: Node, at_work: Office) -> None:
    """Named by its field."""
    with node.variant(enrich=at_work.enricher) as served_node:
        is_problem(asked(served_node, value="CVE-1"), 400, "bad_request")
        is_problem(asked(served_node, kind="url", value="https://example.org"), 400, "bad_request")
        is_problem(asked(served_node, kind="ip", value="203.0.113.99"), 404, "not_found")


def test_it_is_off_unless_the_settings_allow_it(node: Node) -> None:
    """As it is on a node that nobody configured."""
    is_problem(asked(node), 409, "fetch_off")


def test_a_node_without_it(node: Node) -> None:
    """Says so."""
    with node.variant(enrich=None) as bare:
        is_problem(asked(bare), 503, "ai_no_provider")
